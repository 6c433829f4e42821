"""The families: from a few sizes to a tiny model of the family with random weights and a tokenizer in its layout.

PRESETS holds the sizes of the oracle's models; a family's function takes such a dictionary. Common entries: V vocabulary, h hidden size,
ff MLP size, L layers, nh heads, nkv key/value heads, hd head size, seed; `config` holds further arguments of the family's configuration
class, which come last and so may change anything."""
import dataclasses
import math
from collections.abc import Callable

import torch
import transformers

from tiny_tokenizers import TinyTokenizer
from tiny_weights import Rule, edit_config, edit_tensors, fan_in, log_uniform, normal, randomize, uniform

S, F, D = "sliding_attention", "full_attention", "linear_attention"


@dataclasses.dataclass
class TinyModel:
    model: torch.nn.Module
    tokenizer: TinyTokenizer
    sizes: dict
    pre: str | None                   # tokenizer.ggml.pre for the converter, None where it needs none
    lowest: int = 0                   # prompts hold ids in [lowest, highest)
    highest: int = 0
    bos: int | None = None            # the first id of each prompt
    shard: str | None = None          # size of the SafeTensors files
    mxfp4: dict | None = None         # tensors stored as MXFP4 blocks and scales
    after_save: Callable | None = None        # changes the folder to the released spelling
    converter_arguments: tuple[str, ...] = ()
    raw_config: bool = False
    other_readings: dict = dataclasses.field(default_factory=dict)  # tag -> change of the model for a second reference


PRESETS: dict[tuple[str, str], dict] = {
    ("gemma3", "nano"): dict(V=512, h=64, ff=128, L=8, nh=4, nkv=2, hd=32, win=32, seed=1),
    ("gemma3", "kq"): dict(V=512, h=256, ff=256, L=7, nh=4, nkv=1, hd=64, win=64, seed=2, linear_factor=8.0),
    ("gemma4e", "nano"): dict(V=512, h=64, ff=96, layers=[S, S, F, S, F, S, S, F], nh=4, nkv=1, hd=16, ghd=32, win=32, ple=16, shared=3, wide=True, seed=11),
    ("gemma4e", "kq"): dict(V=512, h=256, ff=256, layers=[S, F, S, F], nh=4, nkv=1, hd=64, ghd=128, win=64, ple=256, shared=2, wide=True, seed=12),
    ("gemma4d", "nano"): dict(V=512, h=64, ff=128, layers=[S, S, S, F, S, F], nh=4, nkv=4, gkv=2, hd=16, ghd=32, win=32, seed=21),
    ("gemma4d", "kq"): dict(V=512, h=256, ff=256, layers=[S, S, F, S, F], nh=4, nkv=2, gkv=1, hd=64, ghd=128, win=64, seed=22),
    ("gemma4m", "nano"): dict(V=512, h=64, ff=96, layers=[S, S, F, S, F], nh=4, nkv=2, gkv=1, hd=16, ghd=32, win=32, ne=8, topk=3, mff=32, seed=31),
    ("gemma4m", "kq"): dict(V=512, h=256, ff=256, layers=[S, F, S, F], nh=4, nkv=2, gkv=1, hd=64, ghd=128, win=64, ne=4, topk=2, mff=256, seed=32),
    ("qwen35", "nano"): dict(V=512, h=64, ff=128, L=8, nh=4, nkv=2, hd=32, lk=2, lv=4, ld=16, tie=False, seed=41),
    ("qwen35", "kq"): dict(V=512, h=256, ff=256, L=4, nh=4, nkv=1, hd=64, lk=2, lv=4, ld=64, tie=True, seed=42, vision=True, mtp=True),
    ("qwen35moe", "nano"): dict(V=512, h=64, ff=32, L=4, nh=4, nkv=2, hd=32, lk=2, lv=4, ld=16, ne=8, topk=3, sff=48, tie=False, seed=51),
    ("qwen35moe", "kq"): dict(V=512, h=256, ff=256, L=4, nh=4, nkv=2, hd=64, lk=2, lv=4, ld=64, ne=3, topk=2, sff=256, tie=False, seed=52, vision=True),
    ("gptoss", "nano"): dict(V=512, h=64, ff=64, L=4, nh=4, nkv=2, hd=32, win=32, ne=6, topk=2, factor=8.0, original=64, seed=61),
    ("gptoss", "kq"): dict(V=512, h=256, ff=256, L=4, nh=4, nkv=1, hd=64, win=64, ne=4, topk=2, factor=32.0, original=128, seed=62),
    ("nemotronh", "nano"): dict(V=512, h=64, ff=128, pattern="M-M*-M-", nh=4, nkv=2, hd=32, mh=8, mhd=16, ng=2, state=16, seed=71),
    ("nemotronh", "kq"): dict(V=512, h=256, ff=256, pattern="M-M*-", nh=4, nkv=1, hd=64, mh=4, mhd=64, ng=2, state=64, seed=72),
    ("nemotronhmoe", "nano"): dict(V=512, h=64, ff=32, pattern="MEM*EME", nh=4, nkv=2, hd=32, mh=8, mhd=16, ng=2, state=16, ne=8, topk=3, sff=64, scale=2.5, seed=81),
    ("nemotronhmoe", "kq"): dict(V=512, h=256, ff=256, pattern="MEM*E", nh=4, nkv=1, hd=64, mh=4, mhd=64, ng=2, state=64, ne=4, topk=2, sff=256, scale=2.5, seed=82),
    ("glm47flash", "nano"): dict(V=512, h=64, ff=96, mff=32, L=4, nh=4, q=32, kv=32, rope=16, nope=24, v=32, ne=8, topk=3, scale=1.8, seed=91),
    ("glm47flash", "kq"): dict(V=512, h=256, ff=256, mff=256, L=3, nh=4, q=256, kv=256, rope=64, nope=64, v=64, ne=3, topk=2, scale=1.8, seed=92, mtp=True),
    ("glm4", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, hd=32, seed=95),
    ("glm4", "kq"): dict(V=512, h=256, ff=256, L=4, nh=4, nkv=1, hd=64, seed=96),
    ("glm4moe", "nano"): dict(V=512, h=64, ff=96, mff=32, L=4, nh=4, nkv=2, hd=32, ne=8, topk=3, scale=1.0, qk=True, bias=True, seed=97),
    ("glm4moe", "kq"): dict(V=512, h=256, ff=256, mff=256, L=3, nh=4, nkv=1, hd=64, ne=4, topk=2, scale=2.5, qk=False, bias=True, seed=98),
    ("llama", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, hd=16, tie=True, pre="smollm", seed=201),
    ("llama", "kq"): dict(V=512, h=256, ff=256, L=2, nh=4, nkv=2, hd=64, tie=False, pre="llama-bpe", llama3=True, seed=202, shard="1MB"),
    ("llamaspm", "nano"): dict(V=512, h=64, ff=96, L=2, nh=4, nkv=4, hd=16, seed=211),
    ("qwen3", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, hd=32, tie=True, seed=221),
    ("qwen3", "kq"): dict(V=512, h=256, ff=256, L=4, nh=4, nkv=2, hd=64, tie=True, seed=222),
    ("qwen2", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, tie=True, seed=231),
    ("qwen3moe", "nano"): dict(V=512, h=64, ff=96, mff=32, L=4, nh=4, nkv=2, hd=32, ne=8, topk=3, tie=False, seed=241),
    ("gemma2", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, hd=32, win=32, seed=251),
    ("mistral", "nano"): dict(V=512, h=64, ff=128, L=4, nh=4, nkv=2, hd=32, win=None, tie=False, seed=261),
}

GEMMA_SYMBOLS = ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
GEMMA4_SYMBOLS = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
                  "<tool_response|>", "<|\"|>", "<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<tool_call>", "</tool_call>", "<think>",
        "</think>")
GLM = ("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<think>",
       "</think>", "<tool_call>", "</tool_call>")
GPT_OSS = ("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>",
           "<|endofprompt|>")
NEMOTRON = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>", "<think>", "</think>", "<|im_start|>", "<|im_end|>")
SMOLLM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>")
LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def rope(theta: float, sizes: dict, **more: object) -> dict:
    """rope_parameters: the plain kind, unless the sizes give another as `rope`."""
    return {"rope_type": "default", "rope_theta": theta, **more, **sizes.get("rope_parameters", {})}


def build(class_name: str, config_class: str, sizes: dict, arguments: dict) -> torch.nn.Module:
    config = getattr(transformers, config_class)(**{**arguments, **sizes.get("config", {})})
    config._attn_implementation = config._experts_implementation = "eager"
    return getattr(transformers, class_name)(config)


def plain(p: dict) -> dict:
    """The arguments that nearly all configuration classes take."""
    return dict(vocab_size=p["V"], hidden_size=p["h"], intermediate_size=p["ff"], num_hidden_layers=p["L"], num_attention_heads=p["nh"],
                num_key_value_heads=p["nkv"], **({"head_dim": p["hd"]} if "hd" in p else {}))


def tied_embedding_std(p: dict) -> float:
    return 2.0 / math.sqrt(p["h"]) if p["tie"] else 1.0


def gemma_tokenizer(p: dict, symbols: tuple[str, ...], template: str, keep_model: bool) -> TinyTokenizer:
    return TinyTokenizer("gemma", p["V"], template, specials=symbols, keep_model=keep_model, bos_in_template=True, bos_token="<bos>", eos_token="<eos>",
                         unk_token="<unk>", pad_token="<pad>", add_bos_token=True)


def post_norms(p: dict, minus: float, spread: float) -> Rule:
    mean = 2.5 * math.sqrt(p["h"] / 64) - minus
    return (r"post_attention_layernorm|post_feedforward_layernorm\." if minus == 0 else r"post_(attention|feedforward)_layernorm", normal(spread, mean))


def gemma3(p: dict) -> TinyModel:
    full = {"rope_type": "default", "rope_theta": 1000000.0, **p.get("rope_parameters", {})}
    if "linear_factor" in p:
        full = {"rope_type": "linear", "factor": p["linear_factor"], "rope_theta": 1000000.0}
    model = build("Gemma3ForCausalLM", "Gemma3TextConfig", p, dict(
        **plain(p), query_pre_attn_scalar=p["hd"], sliding_window=p["win"], max_position_embeddings=2048,
        rope_parameters={F: full, S: {"rope_type": "default", "rope_theta": 10000.0}}))
    randomize(model, p["seed"], [(r"(q|k)_norm", normal(0.25, 0.5)), post_norms(p, 1, 0.3)], 2.0 / math.sqrt(p["h"]), gain=1.2, norm_plus_1=True)
    return TinyModel(model, gemma_tokenizer(p, GEMMA_SYMBOLS, "google-gemma-2-2b-it.jinja", True), p, None, 269, p["V"], 2)


def gemma2(p: dict) -> TinyModel:
    model = build("Gemma2ForCausalLM", "Gemma2Config", p, dict(
        **plain(p), query_pre_attn_scalar=p["hd"], sliding_window=p["win"], max_position_embeddings=2048, rope_parameters=rope(10000.0, p)))
    randomize(model, p["seed"], [post_norms(p, 1, 0.3), (r"(q|k)_proj", fan_in(2.5))], 2.0 / math.sqrt(p["h"]), gain=1.2, norm_plus_1=True)
    return TinyModel(model, gemma_tokenizer(p, GEMMA_SYMBOLS, "google-gemma-2-2b-it.jinja", True), p, None, 269, p["V"], 2)


def gemma4(p: dict, arguments: dict) -> TinyModel:
    model = build("Gemma4ForCausalLM", "Gemma4TextConfig", p, dict(
        vocab_size=p["V"], hidden_size=p["h"], intermediate_size=p["ff"], num_hidden_layers=len(p["layers"]), layer_types=list(p["layers"]),
        num_attention_heads=p["nh"], num_key_value_heads=p["nkv"], head_dim=p["hd"], global_head_dim=p["ghd"], sliding_window=p["win"],
        max_position_embeddings=2048, final_logit_softcapping=30.0, **arguments))
    rules = [post_norms(p, 0, 0.4), (r"layer_scalar", uniform(0.6, 1.2)), (r"router\.scale$", normal(0.3, 1)), (r"router\.proj", normal(1.5)),
             (r"per_expert_scale", uniform(0.5, 1.5)), (r"embed_tokens_per_layer", normal(1 / math.sqrt(p.get("ple", 1)))),
             (r"per_layer_model_projection", normal(1)), (r"self_attn\.(q|k)_norm", normal(0.25, 1.0) if p["hd"] <= 32 else normal(0.2, 0.6))]
    randomize(model, p["seed"], rules, 2.5 / math.sqrt(p["h"]), gain=1.2)
    return TinyModel(model, gemma_tokenizer(p, GEMMA4_SYMBOLS, "google-gemma-4-31B-it.jinja", False), p, "gemma4", 282, p["V"], 2)


def gemma4e(p: dict) -> TinyModel:
    """E2B: per-layer embeddings, K/V shared by the last layers, a double-wide MLP there."""
    return gemma4(p, dict(hidden_size_per_layer_input=p["ple"], vocab_size_per_layer_input=p["V"], num_kv_shared_layers=p["shared"], use_double_wide_mlp=p["wide"]))


def gemma4d(p: dict) -> TinyModel:
    """31B: K = V on the full layers, which have other K/V heads."""
    return gemma4(p, dict(hidden_size_per_layer_input=0, attention_k_eq_v=True, num_global_key_value_heads=p["gkv"]))


def gemma4m(p: dict) -> TinyModel:
    """26B-A4B: experts beside the dense MLP."""
    return gemma4(p, dict(hidden_size_per_layer_input=0, attention_k_eq_v=True, num_global_key_value_heads=p["gkv"], enable_moe_block=True,
                          num_experts=p["ne"], top_k_experts=p["topk"], moe_intermediate_size=p["mff"]))


QWEN35_RULES = [
    (r"linear_attn\.A_log", log_uniform(0.05, 2.05)), (r"linear_attn\.dt_bias", normal(1.0, -2.0)), (r"linear_attn\.conv1d\.weight", normal(0.6)),
    (r"linear_attn\.norm\.weight", normal(0.25, 1)), (r"(q|k)_norm\.weight", normal(0.2, 0.4)), (r"shared_expert_gate", fan_in(1.5)),
    (r"mlp\.gate\.weight", fan_in(1.5)), (r"(down|o|out)_proj", fan_in(2.5))]


def add_mtp_of_qwen(folder, p: dict) -> None:
    """A multi-token-prediction block as released checkpoints have one."""
    def add(tensors: dict[str, torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(p["seed"] + 9)

        def small(*shape: int, std: float = 0.05) -> torch.Tensor:
            return (torch.randn(*shape, generator=generator) * std).to(torch.bfloat16)
        ending = f"layers.{p['L'] - 1}.input_layernorm.weight"
        prefix = next(name for name in tensors if name.endswith(ending)).replace("input_layernorm.weight", "")
        for name in list(tensors):
            if name.startswith(prefix):
                tensors["mtp.layers.0." + name[len(prefix):]] = small(*tensors[name].shape)
        tensors["mtp.fc.weight"] = small(p["h"], 2 * p["h"])
        for name in ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"):
            tensors[f"mtp.{name}.weight"] = small(p["h"], std=0.2)
    edit_tensors(folder, add)


def fuse_experts(tensors: dict[str, torch.Tensor], n_experts: int) -> None:
    """The spelling mlp.experts.gate_up_proj [experts, 2 ff, h], mlp.experts.down_proj [experts, h, ff]."""
    for prefix in sorted({name[:name.index(".experts.")] for name in tensors if ".experts.0." in name}):
        experts = [f"{prefix}.experts.{e}" for e in range(n_experts)]
        gate_up = [torch.cat([tensors.pop(f"{e}.gate_proj.weight"), tensors.pop(f"{e}.up_proj.weight")]) for e in experts]
        tensors[f"{prefix}.experts.down_proj"] = torch.stack([tensors.pop(f"{e}.down_proj.weight") for e in experts])
        tensors[f"{prefix}.experts.gate_up_proj"] = torch.stack(gate_up)


def qwen35_like(p: dict, moe: bool) -> TinyModel:
    name = "Qwen3_5Moe" if moe else "Qwen3_5"
    interval = p.get("interval", 4)
    n_pairs = int(p["hd"] * p.get("partial", 0.25)) // 2
    arguments = dict(
        vocab_size=p["V"], hidden_size=p["h"], num_hidden_layers=p["L"], num_attention_heads=p["nh"], num_key_value_heads=p["nkv"], head_dim=p["hd"],
        max_position_embeddings=4096, linear_conv_kernel_dim=p.get("kernel", 4), linear_key_head_dim=p["ld"], linear_value_head_dim=p["ld"],
        linear_num_key_heads=p["lk"], linear_num_value_heads=p["lv"], tie_word_embeddings=p["tie"],
        rope_parameters=rope(10000000.0, p, partial_rotary_factor=p.get("partial", 0.25), mrope_interleaved=True,
                             mrope_section=[n_pairs - 2 * (n_pairs // 3), n_pairs // 3, n_pairs // 3]))
    if interval != 4:
        arguments["layer_types"] = [F if (i + 1) % interval == 0 else D for i in range(p["L"])]
    if moe:
        arguments.update(moe_intermediate_size=p["ff"], shared_expert_intermediate_size=p["sff"], num_experts=p["ne"], num_experts_per_tok=p["topk"])
    else:
        arguments.update(intermediate_size=p["ff"])
    text = getattr(transformers, name + "TextConfig")(**{**arguments, **p.get("config", {})})
    text._attn_implementation = text._experts_implementation = "eager"
    if p.get("vision"):  # the layout of released checkpoints: model.language_model.* beside a vision tower
        vision = getattr(transformers, name + "VisionConfig")(
            depth=1, hidden_size=32, intermediate_size=32, num_heads=2, patch_size=4, spatial_merge_size=2, temporal_patch_size=2, out_hidden_size=p["h"],
            num_position_embeddings=16)
        config = getattr(transformers, name + "Config")(
            text_config=text.to_dict(), vision_config=vision.to_dict(), image_token_id=507, video_token_id=506, vision_start_token_id=505,
            vision_end_token_id=504, tie_word_embeddings=p["tie"])
        config._attn_implementation = config.text_config._experts_implementation = "eager"
        model = getattr(transformers, name + "ForConditionalGeneration")(config)
    else:
        model = getattr(transformers, name + "ForCausalLM")(text)
    randomize(model, p["seed"], QWEN35_RULES, tied_embedding_std(p), norm_plus_1=True)

    def after_save(folder) -> None:
        def edit(config: dict) -> None:
            part = config.get("text_config") or config
            part["full_attention_interval"] = interval
            if p.get("mtp"):
                part["mtp_num_hidden_layers"] = 1
        edit_config(folder, edit)
        if p.get("mtp"):
            add_mtp_of_qwen(folder, p)
        if p.get("fused"):
            edit_tensors(folder, lambda tensors: fuse_experts(tensors, p["ne"]))
    tokenizer = TinyTokenizer("byte_level", p["V"], "Qwen3.5-4B.jinja", pre="qwen35", specials=QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    return TinyModel(model, tokenizer, p, "qwen35", 0, p["V"] - len(QWEN), after_save=after_save, converter_arguments=() if p.get("mtp") else ("--no-mtp",))


def qwen35(p: dict) -> TinyModel:
    return qwen35_like(p, False)


def qwen35moe(p: dict) -> TinyModel:
    return qwen35_like(p, True)


def random_mxfp4(n_experts: int, n_rows: int, n_columns: int, generator: torch.Generator, std: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A random MXFP4 matrix [experts, rows, columns]: its values, its blocks [.., columns / 32, 16] and scales [.., columns / 32]."""
    values = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])
    shape = (n_experts, n_rows, n_columns // 32)
    weights = torch.randn(*shape, 32, generator=generator) * (0.7 + 0.6 * torch.rand(*shape, 1, generator=generator)) * std
    exponent = torch.floor(torch.log2(weights.abs().amax(-1, keepdim=True))) - 2
    code = ((weights / torch.exp2(exponent)).unsqueeze(-1) - values).abs().argmin(-1)
    decoded = (values[code] * torch.exp2(exponent)).reshape(n_experts, n_rows, n_columns)
    return decoded, (code[..., 0::2] | code[..., 1::2] << 4).to(torch.uint8), (exponent.squeeze(-1) + 127).to(torch.uint8)


def gptoss(p: dict) -> TinyModel:
    yarn = {"rope_type": "yarn", "factor": p["factor"], "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": p["original"], "rope_theta": 150000.0, **p.get("rope_parameters", {})}
    model = build("GptOssForCausalLM", "GptOssConfig", p, dict(
        **plain(p), sliding_window=p["win"], num_local_experts=p["ne"], num_experts_per_tok=p["topk"],
        max_position_embeddings=int(p["factor"] * p["original"]), tie_word_embeddings=False, rope_parameters=yarn))
    mxfp4 = {}
    expert_generator = torch.Generator().manual_seed(p["seed"] + 5000)

    def expert(weight: torch.Tensor, generator: torch.Generator, name: str) -> torch.Tensor:
        # Hugging Face computes with [experts, in, out]; the checkpoint's blocks are [experts, out, in / 32, 16].
        std = (2.0 if "down" in name else 1.5) / math.sqrt(weight.shape[1])
        decoded, blocks, scales = random_mxfp4(weight.shape[0], weight.shape[2], weight.shape[1], expert_generator, std)
        mxfp4[name] = (blocks, scales)
        return decoded.transpose(1, 2)
    rules = [(r"experts\.(gate_up|down)_proj$", expert), (r"sinks", normal(1)), (r"experts\..*_bias", normal(0.5)), (r"router\.weight", fan_in(1.5)),
             (r"(q|k)_proj\.weight", fan_in(1.4)), (r"o_proj\.weight", fan_in(2.5))]
    randomize(model, p["seed"], rules, 1.0)

    def after_save(folder) -> None:
        def edit(config: dict) -> None:
            config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": [
                "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
            config["experts_per_token"], config["initial_context_length"] = p["topk"], p["original"]
            config["rope_scaling"] = config.pop("rope_parameters")  # the released spelling
            config["rope_theta"] = config["rope_scaling"].pop("rope_theta")
        edit_config(folder, edit)

    def truncate(changed: torch.nn.Module) -> None:
        """llama.cpp rounds YaRN's correction range, whatever the configuration says."""
        from transformers.modeling_rope_utils import _compute_yarn_parameters
        changed.config.rope_parameters["truncate"] = True
        frequencies, _ = _compute_yarn_parameters(changed.config, None)
        changed.model.rotary_emb.inv_freq.copy_(frequencies)
        if hasattr(changed.model.rotary_emb, "original_inv_freq"):
            changed.model.rotary_emb.original_inv_freq.copy_(frequencies)
    tokenizer = TinyTokenizer("byte_level", p["V"], "openai-gpt-oss-120b.jinja", pre="gpt-4o", specials=GPT_OSS, bos_token="<|startoftext|>",
                              eos_token="<|return|>", pad_token="<|endoftext|>")
    return TinyModel(model, tokenizer, p, "gpt-4o", 0, p["V"] - len(GPT_OSS), mxfp4=mxfp4, after_save=after_save, other_readings={"trunc": truncate})


def nemotron(p: dict, moe: bool) -> TinyModel:
    arguments = dict(
        vocab_size=p["V"], hidden_size=p["h"], hybrid_override_pattern=p["pattern"], num_attention_heads=p["nh"], num_key_value_heads=p["nkv"],
        head_dim=p["hd"], mamba_num_heads=p["mh"], mamba_head_dim=p["mhd"], n_groups=p["ng"], ssm_state_size=p["state"], conv_kernel=p.get("kernel", 4),
        expand=2, chunk_size=32, max_position_embeddings=4096, use_mamba_kernels=False, tie_word_embeddings=False, intermediate_size=p["ff"])
    if moe:
        arguments.update(moe_intermediate_size=p["ff"], moe_shared_expert_intermediate_size=p["sff"], n_routed_experts=p["ne"],
                         num_experts_per_tok=p["topk"], n_shared_experts=1, routed_scaling_factor=p["scale"], norm_topk_prob=True, n_group=1, topk_group=1)
    model = build("NemotronHForCausalLM", "NemotronHConfig", p, arguments)
    randomize(model, p["seed"], [
        (r"A_log", log_uniform(0.1, 4.1)), (r"mixer\.D$", normal(0.5, 1)), (r"dt_bias", normal(1.0, -1.5)), (r"conv1d\.weight", normal(0.6)),
        (r"e_score_correction_bias", normal(0.2)), (r"mixer\.gate\.weight", fan_in(1.2)), (r"mixer\.(q|k)_proj", fan_in(1.5)),
        (r"down_proj|o_proj|out_proj", fan_in(1.5))], 1.0)

    def after_save(folder) -> None:
        def edit(config: dict) -> None:
            config["hybrid_override_pattern"], config["num_hidden_layers"] = p["pattern"], len(p["pattern"])
            for key in ("layers_block_type", "layer_types", "mtp_layers_block_type", "mtp_hybrid_override_pattern"):
                config.pop(key, None)
            if not moe:
                for key in ("num_experts_per_tok", "n_routed_experts", "moe_intermediate_size", "moe_shared_expert_intermediate_size", "n_shared_experts",
                            "n_group", "topk_group", "norm_topk_prob", "routed_scaling_factor", "moe_latent_size", "moe_shared_expert_overlap"):
                    config.pop(key, None)
            config["rms_norm_eps"] = config["norm_eps"] = config["layer_norm_epsilon"]
        edit_config(folder, edit)
    template = "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja" if moe else "NVIDIA-Nemotron-Nano-v2.jinja"
    tokenizer = TinyTokenizer("byte_level", p["V"], template, pre="pixtral", specials=NEMOTRON, specials_first=True, bos_in_template=not moe, bos_token="<s>",
                              eos_token="</s>", unk_token="<unk>")
    return TinyModel(model, tokenizer, p, "pixtral", len(NEMOTRON), p["V"], 1, after_save=after_save, raw_config=not moe)


def nemotronh(p: dict) -> TinyModel:
    return nemotron(p, False)


def nemotronhmoe(p: dict) -> TinyModel:
    return nemotron(p, True)


GLM_RULES = [(r"e_score_correction_bias", normal(0.2)), (r"mlp\.gate\.weight", fan_in(1.2)), (r"(q|k)_(b_)?proj\.weight|kv_b_proj", fan_in(1.5)),
             (r"down_proj|o_proj", fan_in(2.5))]


def glm_tokenizer(p: dict, template: str) -> TinyTokenizer:
    return TinyTokenizer("byte_level", p["V"], template, pre="glm4", specials=GLM, eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def glm47flash(p: dict) -> TinyModel:
    model = build("Glm4MoeLiteForCausalLM", "Glm4MoeLiteConfig", p, dict(
        vocab_size=p["V"], hidden_size=p["h"], intermediate_size=p["ff"], moe_intermediate_size=p["mff"], num_hidden_layers=p["L"],
        num_attention_heads=p["nh"], num_key_value_heads=p["nh"], n_shared_experts=1, n_routed_experts=p["ne"], num_experts_per_tok=p["topk"],
        routed_scaling_factor=p["scale"], kv_lora_rank=p["kv"], q_lora_rank=p["q"], qk_rope_head_dim=p["rope"], qk_nope_head_dim=p["nope"],
        v_head_dim=p["v"], n_group=1, topk_group=1, norm_topk_prob=True, max_position_embeddings=4096, rope_parameters=rope(1000000.0, p),
        tie_word_embeddings=False, rope_interleave=True, eos_token_id=[0, 7, 9], bos_token_id=None))
    randomize(model, p["seed"], GLM_RULES, 1.0)

    def add_mtp(tensors: dict[str, torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(p["seed"] + 9)
        last, n = f"model.layers.{p['L'] - 1}.", p["L"]
        for name in list(tensors):
            if name.startswith(last):
                value = torch.randn(tensors[name].shape, generator=generator) * 0.05
                tensors[name.replace(last, f"model.layers.{n}.")] = value.to(tensors[name].dtype)
        tensors[f"model.layers.{n}.eh_proj.weight"] = (torch.randn(p["h"], 2 * p["h"], generator=generator) * 0.05).to(torch.bfloat16)
        for name in ("enorm", "hnorm", "shared_head.norm"):
            tensors[f"model.layers.{n}.{name}.weight"] = (1 + torch.randn(p["h"], generator=generator) * 0.2).to(torch.bfloat16)

    def after_save(folder) -> None:
        def edit(config: dict) -> None:
            types = config.pop("mlp_layer_types", None) or ["dense"]
            config.update(first_k_dense_replace=types.count("dense"), topk_method="noaux_tc", scoring_func="sigmoid", num_nextn_predict_layers=int(p.get("mtp", False)))
        edit_config(folder, edit)
        if p.get("mtp"):
            edit_tensors(folder, add_mtp)
    return TinyModel(model, glm_tokenizer(p, "GLM-4.7-Flash.jinja"), p, "glm4", 0, p["V"] - len(GLM), after_save=after_save)


def glm4(p: dict) -> TinyModel:
    model = build("Glm4ForCausalLM", "Glm4Config", p, dict(
        **plain(p), max_position_embeddings=4096, attention_bias=True, rope_parameters=rope(10000.0, p, partial_rotary_factor=p.get("partial", 0.5)),
        tie_word_embeddings=False, eos_token_id=[0, 7, 9], pad_token_id=0, rms_norm_eps=1e-5))
    randomize(model, p["seed"], GLM_RULES, 1.0)
    return TinyModel(model, glm_tokenizer(p, "GLM-4.6.jinja"), p, "glm4", 0, p["V"] - len(GLM))


def glm4moe(p: dict) -> TinyModel:
    model = build("Glm4MoeForCausalLM", "Glm4MoeConfig", p, dict(
        **plain(p), moe_intermediate_size=p["mff"], max_position_embeddings=4096, attention_bias=p["bias"], use_qk_norm=p["qk"], n_routed_experts=p["ne"],
        num_experts_per_tok=p["topk"], n_shared_experts=1, routed_scaling_factor=p["scale"], first_k_dense_replace=1, norm_topk_prob=True,
        rope_parameters=rope(1000000.0, p, partial_rotary_factor=p.get("partial", 0.5)), tie_word_embeddings=False, eos_token_id=[0, 7, 9],
        pad_token_id=0, num_mtp_layers=0))
    randomize(model, p["seed"], GLM_RULES, 1.0)

    def after_save(folder) -> None:
        def edit(config: dict) -> None:
            config["num_nextn_predict_layers"], config["head_dim"] = 0, p["hd"]
            config.pop("num_mtp_layers", None)
        edit_config(folder, edit)
    return TinyModel(model, glm_tokenizer(p, "GLM-4.6.jinja"), p, "glm4", 0, p["V"] - len(GLM), after_save=after_save)


LLAMA_RULES = [(r"(q|k)_proj\.weight", fan_in(1.5)), (r"down_proj|o_proj", fan_in(2.5))]


def llama_like(p: dict, class_name: str, config_class: str, arguments: dict) -> TinyModel:
    parameters = rope(10000.0, p)
    if p.get("llama3"):
        parameters = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 128, **p.get("rope_parameters", {})}
    model = build(class_name, config_class, p, dict(
        **plain(p), max_position_embeddings=1024, rope_parameters=parameters, tie_word_embeddings=p["tie"], rms_norm_eps=1e-5, bos_token_id=1,
        eos_token_id=2, **arguments))
    randomize(model, p["seed"], LLAMA_RULES, tied_embedding_std(p))
    if p.get("pre", "llama-bpe") == "smollm":
        tokenizer = TinyTokenizer("byte_level", p["V"], None, pre="smollm", specials=SMOLLM, specials_first=True, bos_token="<|im_start|>",
                                  eos_token="<|im_end|>", unk_token="<|endoftext|>", pad_token="<|im_end|>")
        return TinyModel(model, tokenizer, p, "smollm", len(SMOLLM), p["V"], shard=p.get("shard"))
    first = p["V"] - len(LLAMA3)

    def after_save(folder) -> None:
        edit_config(folder, lambda config: config.update(bos_token_id=first, eos_token_id=[first + 1, first + 4]))
    tokenizer = TinyTokenizer("byte_level", p["V"], "meta-llama-Llama-3.2-3B-Instruct.jinja", pre="llama-bpe", specials=LLAMA3, bos_in_template=True,
                              bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    return TinyModel(model, tokenizer, p, "llama-bpe", 0, first, first, shard=p.get("shard"), after_save=after_save)


def llama(p: dict) -> TinyModel:
    return llama_like(p, "LlamaForCausalLM", "LlamaConfig", {})


def mistral(p: dict) -> TinyModel:
    return llama_like(p, "MistralForCausalLM", "MistralConfig", dict(sliding_window=p["win"]))


def llamaspm(p: dict) -> TinyModel:
    """Llama 2's and TinyLlama's layout: a SentencePiece tokenizer."""
    model = build("LlamaForCausalLM", "LlamaConfig", p, dict(
        **plain(p), max_position_embeddings=1024, rope_parameters=rope(10000.0, p), tie_word_embeddings=False, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2))
    randomize(model, p["seed"], LLAMA_RULES, 1.0)
    tokenizer = TinyTokenizer("llama", p["V"], None, keep_model=True, bos_in_template=True, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
                              add_bos_token=True)
    return TinyModel(model, tokenizer, p, None, 259, p["V"], 1)


def qwen_like(p: dict, class_name: str, config_class: str, arguments: dict, rules: list[Rule]) -> TinyModel:
    model = build(class_name, config_class, p, dict(
        **plain(p), max_position_embeddings=4096, rope_parameters=rope(1000000.0, p), tie_word_embeddings=p["tie"], **arguments))
    randomize(model, p["seed"], rules + [(r"down_proj|o_proj", fan_in(2.5))], tied_embedding_std(p))
    tokenizer = TinyTokenizer("byte_level", p["V"], "Qwen-Qwen3-0.6B.jinja", pre="qwen2", specials=QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    return TinyModel(model, tokenizer, p, "qwen2", 0, p["V"] - len(QWEN))


def qwen2(p: dict) -> TinyModel:
    return qwen_like(p, "Qwen2ForCausalLM", "Qwen2Config", {}, [(r"(q|k)_proj\.weight", fan_in(1.5))])


def qwen3(p: dict) -> TinyModel:
    return qwen_like(p, "Qwen3ForCausalLM", "Qwen3Config", {}, [(r"(q|k)_norm", normal(0.3, 1.4))])


def qwen3moe(p: dict) -> TinyModel:
    experts = dict(moe_intermediate_size=p["mff"], num_experts=p["ne"], num_experts_per_tok=p["topk"], norm_topk_prob=True)
    return qwen_like(p, "Qwen3MoeForCausalLM", "Qwen3MoeConfig", experts, [(r"(q|k)_norm", normal(0.3, 1.4)), (r"mlp\.gate\.weight", fan_in(1.5))])


FAMILIES: dict[str, Callable[[dict], TinyModel]] = {function.__name__: function for function in (
    gemma3, gemma2, gemma4e, gemma4d, gemma4m, qwen35, qwen35moe, gptoss, nemotronh, nemotronhmoe, glm47flash, glm4, glm4moe, llama, mistral, llamaspm,
    qwen2, qwen3, qwen3moe)}
