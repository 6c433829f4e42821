"""What heldout.py varies: one thing at a time around the tiny models of families.py."""
import dataclasses

from families import D, F, S


@dataclasses.dataclass
class Variant:
    name: str
    sizes: dict = dataclasses.field(default_factory=dict)   # entries of the preset
    config: dict = dataclasses.field(default_factory=dict)  # arguments of the configuration class
    only_folder: bool = False  # llama.cpp's GGUF cannot say it, or its converter gets it wrong
    may_refuse: str = ""       # agave may refuse it, with a sentence that this pattern is found in


def scaled_rope(kind: str, factor: float, **more: object) -> dict:
    return {"rope_parameters": {"rope_type": kind, "factor": factor, **more}}


YARN = dict(original_max_position_embeddings=64, beta_fast=16.0, beta_slow=1.0)
# What nearly every family can do.
COMMON = [Variant("base"), Variant("kv1", dict(nkv=1)), Variant("mha", dict(nkv=4)), Variant("vocab517", dict(V=517)),
          Variant("hidden72", dict(h=72))]
DENSE = COMMON + [Variant("layer1", dict(L=1)), Variant("heads6", dict(h=96, nh=6, nkv=3)), Variant("ff100", dict(ff=100)), Variant("head24", dict(hd=24)),
                  Variant("head48", dict(hd=48))]
ROPES = [Variant("linear", scaled_rope("linear", 4.0)), Variant("yarn", scaled_rope("yarn", 8.0, **YARN)),
         Variant("yarn-factor2", scaled_rope("yarn", 2.0, original_max_position_embeddings=200)),
         Variant("yarn-exact", scaled_rope("yarn", 8.0, truncate=False, **YARN), only_folder=True),
         Variant("yarn-attention", scaled_rope("yarn", 8.0, attention_factor=1.5, **YARN), only_folder=True),
         Variant("theta", {"rope_parameters": {"rope_theta": 500.0}}),
         Variant("dynamic", scaled_rope("dynamic", 4.0), may_refuse="dynamic")]
EXPERTS = [Variant("top1", dict(topk=1)), Variant("all-experts", dict(ne=5, topk=5)), Variant("experts17", dict(ne=17, topk=5))]

BY_FAMILY: dict[str, list[Variant]] = {
    "llama": DENSE + ROPES + [
        Variant("untied", dict(tie=False)), Variant("attention-bias", config=dict(attention_bias=True)), Variant("mlp-bias", config=dict(mlp_bias=True)),
        Variant("llama3", dict(llama3=True)), Variant("llama3-bpe", dict(llama3=True, pre="llama-bpe", tie=False, V=613)),
        Variant("llama3-factor32", dict(llama3=True, rope_parameters={"factor": 32.0, "original_max_position_embeddings": 32, "high_freq_factor": 8.0})),
        Variant("eps", config=dict(rms_norm_eps=1e-3)), Variant("sharded", dict(shard="200KB"))],
    "llamaspm": [Variant("kv2", dict(nkv=2)), Variant("vocab603", dict(V=603)), Variant("linear", scaled_rope("linear", 2.0))],
    "mistral": DENSE[:6] + [Variant("window13", dict(win=13), only_folder=True), Variant("tied", dict(tie=True)), Variant("head24", dict(hd=24))],
    "qwen2": [Variant("base"), Variant("kv1", dict(nkv=1)), Variant("untied", dict(tie=False)), Variant("layer1", dict(L=1)), Variant("vocab517", dict(V=517)),
              Variant("heads6", dict(h=96, nh=6, nkv=3)),
              Variant("window", config=dict(use_sliding_window=True, sliding_window=13, max_window_layers=2), may_refuse="use_sliding_window")] + ROPES[:3],
    "qwen3": DENSE + ROPES + [
        Variant("untied", dict(tie=False)), Variant("attention-bias", config=dict(attention_bias=True)),
        Variant("window", config=dict(use_sliding_window=True, sliding_window=13, max_window_layers=2), may_refuse="use_sliding_window")],
    "qwen3moe": COMMON + EXPERTS + [
        Variant("tied", dict(tie=True)), Variant("not-normalized", config=dict(norm_topk_prob=False), only_folder=True),
        Variant("dense-layers", config=dict(mlp_only_layers=[0, 2]), may_refuse="mlp_only_layers"),
        Variant("sparse-step2", config=dict(decoder_sparse_step=2), may_refuse="decoder_sparse_step")],
    "gemma2": DENSE + [
        Variant("window7", dict(win=7)), Variant("window101", dict(win=101)), Variant("scalar", config=dict(query_pre_attn_scalar=50), only_folder=True),
        Variant("softcaps", config=dict(attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
        Variant("full-first", config=dict(layer_types=[F, S, F, S]), only_folder=True), Variant("all-sliding", config=dict(layer_types=[S] * 4), only_folder=True)],
    "gemma3": DENSE + [
        Variant("window7", dict(win=7)), Variant("window101", dict(win=101)), Variant("linear", dict(linear_factor=4.0)),
        Variant("scalar", config=dict(query_pre_attn_scalar=50), only_folder=True), Variant("layers13", dict(L=13)),
        Variant("full-first", config=dict(layer_types=[F, S, S, F, F, S, S, S]), only_folder=True),
        Variant("softcap", config=dict(final_logit_softcapping=3.0)), Variant("theta", {"rope_parameters": {"rope_theta": 5000.0}})],
    "gemma4e": COMMON + [
        Variant("window7", dict(win=7)), Variant("window101", dict(win=101)), Variant("unshared", dict(shared=0)), Variant("narrow", dict(wide=False)),
        Variant("ending-full-sliding", dict(layers=[S, S, F, S, F, S, F, S])), Variant("ending-sliding", dict(layers=[S, F, S, F, S, S, S, S])),
        Variant("unshared-full-last", dict(layers=[S, S, S, F, S, F, S, F], shared=4)), Variant("shared-one-type", dict(layers=[S, S, F, S, S, S, S, S], shared=2)),
        Variant("shared5", dict(layers=[S, F, S, S, F, S, S, F], shared=5)), Variant("full-first", dict(layers=[F, S, S, F, S, S, F, F], shared=2)),
        Variant("ple24", dict(ple=24)), Variant("global-kv2", dict(gkv=2), config=dict(num_global_key_value_heads=2)),
        Variant("same-head-dim", dict(ghd=16), only_folder=True), Variant("no-softcap", config=dict(final_logit_softcapping=None)),
        Variant("k-eq-v", config=dict(attention_k_eq_v=True, num_global_key_value_heads=1))],
    "gemma4d": COMMON + [
        Variant("window7", dict(win=7)), Variant("full-first", dict(layers=[F, S, S, F, S, F])), Variant("all-full", dict(layers=[F, F, F])),
        Variant("global-kv1", dict(gkv=1)), Variant("global-kv4", dict(gkv=4)), Variant("layer1", dict(layers=[F])),
        Variant("own-v", config=dict(attention_k_eq_v=False)), Variant("head24", dict(hd=24, ghd=40))],
    "gemma4m": COMMON[:3] + EXPERTS + [Variant("window7", dict(win=7)), Variant("full-first", dict(layers=[F, S, F, S, S])), Variant("mff48", dict(mff=48)),
                                       Variant("own-v", config=dict(attention_k_eq_v=False))],
    "qwen35": COMMON + [
        Variant("layer1", dict(L=1)), Variant("tied", dict(tie=True)), Variant("interval2", dict(interval=2, L=5)), Variant("interval3", dict(interval=3, L=7)),
        Variant("heads1-1", dict(lk=3, lv=3)), Variant("heads1-3", dict(lk=2, lv=6)), Variant("heads1-5", dict(lk=1, lv=5)), Variant("dim24", dict(ld=24)),
        Variant("kernel3", dict(kernel=3)), Variant("kernel2", dict(kernel=2)), Variant("wide-values", config=dict(linear_value_head_dim=32)),
        Variant("narrow-values", config=dict(linear_key_head_dim=32)), Variant("partial50", dict(partial=0.5)), Variant("partial100", dict(partial=1.0)),
        Variant("mtp", dict(mtp=True)), Variant("vision", dict(vision=True)), Variant("vision-mtp", dict(vision=True, mtp=True, tie=True)),
        Variant("full-first", config=dict(layer_types=[F, D, D, F, D, D, D, F]), only_folder=True),
        Variant("attention-bias", config=dict(attention_bias=True), may_refuse="bias")],
    "qwen35moe": COMMON[:3] + EXPERTS + [
        Variant("fused", dict(fused=True)), Variant("shared96", dict(sff=96)), Variant("heads1-1", dict(lk=3, lv=3)), Variant("interval2", dict(interval=2)),
        Variant("vision", dict(vision=True)), Variant("tied", dict(tie=True))],
    "gptoss": COMMON[:4] + EXPERTS + [
        Variant("window7", dict(win=7)), Variant("window101", dict(win=101)), Variant("layer1", dict(L=1)), Variant("head16", dict(hd=16)),
        Variant("head64", dict(hd=64)), Variant("truncated", {"rope_parameters": {"truncate": True}}, only_folder=True),
        Variant("factor32", dict(factor=32.0, original=32)), Variant("full-first", config=dict(layer_types=[F, S, F, S]), only_folder=True),
        Variant("all-full", config=dict(layer_types=[F] * 4), only_folder=True), Variant("limit3", config=dict(swiglu_limit=3.0), may_refuse="swiglu_limit"),
        Variant("ff96", dict(ff=96))],
    "nemotronh": COMMON[:3] + COMMON[4:] + [
        # llama.cpp's converter pads the vocabulary to a multiple of 8, but not the embedding.
        Variant("vocab517", dict(V=517), only_folder=True), Variant("vocab520", dict(V=520)),
        Variant("groups1", dict(ng=1)), Variant("groups8", dict(ng=8)), Variant("heads6-3", dict(mh=6, ng=3), only_folder=True), Variant("state24", dict(state=24)),
        Variant("head-dim24", dict(mhd=24)), Variant("kernel3", dict(kernel=3)), Variant("only-mamba", dict(pattern="MMM")), Variant("mamba1", dict(pattern="M")),
        Variant("attention-first", dict(pattern="*-M*-M-")), Variant("ending-mamba", dict(pattern="M*-M")), Variant("no-conv-bias", config=dict(use_conv_bias=False)),
        Variant("bias", config=dict(use_bias=True), may_refuse="bias"), Variant("attention-bias", config=dict(attention_bias=True)), Variant("mlp-bias", config=dict(mlp_bias=True)),
        Variant("head24", dict(hd=24)), Variant("time-step", config=dict(time_step_min=0.2, time_step_limit=(0.2, 1.0)), only_folder=True)],
    "nemotronhmoe": COMMON[:3] + EXPERTS + [
        Variant("groups", config=dict(n_group=4, topk_group=2)), Variant("groups2", config=dict(n_group=2, topk_group=1)),
        Variant("not-normalized", config=dict(norm_topk_prob=False)), Variant("scale", dict(scale=0.7)), Variant("shared2", config=dict(n_shared_experts=2)),
        Variant("latent", config=dict(moe_latent_size=48)), Variant("ssm-groups1", dict(ng=1)), Variant("experts-first", dict(pattern="EM*EM")),
        Variant("mlp-and-experts", dict(pattern="M-ME*E"), only_folder=True)],
    "glm47flash": [Variant("base"), Variant("vocab517", dict(V=517)), Variant("hidden72", dict(h=72)), Variant("layer1", dict(L=1))] + EXPERTS + [
        Variant("heads6", dict(nh=6)), Variant("head1", dict(nh=1)), Variant("groups", config=dict(n_group=4, topk_group=2)),
        Variant("groups2", config=dict(n_group=2, topk_group=1)), Variant("not-normalized", config=dict(norm_topk_prob=False)), Variant("scale", dict(scale=0.7)),
        Variant("shared2", config=dict(n_shared_experts=2)), Variant("nope16-v48", dict(nope=16, v=48)), Variant("rope32", dict(rope=32)),
        Variant("q-direct", dict(q=None)), Variant("dense2", config=dict(mlp_layer_types=["dense", "dense", "sparse", "sparse"])),
        Variant("dense0", config=dict(mlp_layer_types=["sparse"] * 4)), Variant("halves", config=dict(rope_interleave=False), may_refuse="rope_interleave"),
        Variant("latent96", dict(kv=96, q=48)), Variant("mtp", dict(mtp=True)), Variant("attention-bias", config=dict(attention_bias=True), may_refuse="bias"),
        Variant("yarn", scaled_rope("yarn", 8.0, **YARN)), Variant("eps", config=dict(rms_norm_eps=1e-3), only_folder=True)],
    "glm4": DENSE + [Variant("no-bias", config=dict(attention_bias=False)), Variant("partial25", dict(partial=0.25)), Variant("partial100", dict(partial=1.0)),
                     Variant("tied", config=dict(tie_word_embeddings=True))] + ROPES[:2],
    "glm4moe": COMMON + EXPERTS + [
        Variant("groups", config=dict(n_group=4, topk_group=2)), Variant("groups2", config=dict(n_group=2, topk_group=1)),
        Variant("not-normalized", config=dict(norm_topk_prob=False)), Variant("scale", dict(scale=2.5)), Variant("no-bias", dict(bias=False)),
        Variant("no-qk-norm", dict(qk=False)), Variant("dense2", config=dict(first_k_dense_replace=2)), Variant("dense0", config=dict(first_k_dense_replace=0)),
        Variant("shared2", config=dict(n_shared_experts=2)), Variant("partial25", dict(partial=0.25)), Variant("tied", config=dict(tie_word_embeddings=True))],
}
VARIANTS: list[tuple[str, Variant]] = [(family, variant) for family, variants in BY_FAMILY.items() for variant in variants]
