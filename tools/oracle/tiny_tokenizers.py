"""Tiny tokenizers in the layouts of the families, trained on Python's own documentation, and cases for them."""
import functools
import io
import json
import os
import pathlib
import pydoc_data.topics
import shutil
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PATTERNS = {
    "llama-bpe": LLAMA3, "glm4": LLAMA3, "pixtral": LLAMA3,
    "qwen2": LLAMA3.replace("{1,3}", ""),
    "qwen35": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES,
    "gpt-4o": (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}?"
               r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES),
}

SAMPLE = ("Hello World! It's a test; we're testing 1234567 tokens, aren't we? I'LL go. \n\n  def main(argc, argv):\n\treturn 3.14159e-10\n"
          "Cela coûte déjà cher, naïve façade. Größe Straße. Привет мир! Как дела? こんにちは世界、東京。你好，世界！ 안녕하세요 नमस्ते दुनिया "
          "مرحبا بالعالم 🚀🔥👍🏽 e\u0301 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\n\n\n   \n\t\t x=={a:[1,2,3]} // comment /* ok */ <b>bold</b>\r\n")
TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\t\n", "Hello world", " Hello world", "Hello World", " Hello World!", "Hello, world!",
    "this is a test of the emergency system", "it's we'll I'VE they'd don't 'tis", "3", "33", "333", "3333", "33333", "333333", "1234567890",
    "3.14159e-10", "x = y + 2*z; // comment", "def f(a, b=[1,2]):\n    return a+b\n", "    indented\n\tTabbed", "trailing space ", "a  b   c    d",
    "Größe Straße déjà vu naïve", "Привет мир! Как дела?", "こんにちは世界", "你好，世界！", "안녕하세요", "नमस्ते दुनिया", "مرحبا بالعالم", "สวัสดี",
    "🚀🔥👍🏽 emoji 👨‍👩‍👧", "e\u0301 combining \u0915\u094d\u0937", "CamelCaseWord HTTPServer XMLHttpRequest iPhone",
    "\u00a0nbsp\u2003emspace\u200bzws", "a\r\nb\r\n\r\nc", "!!!???...", "<b>bold</b> & \"quotes\"", "\x00\x01\x7f", "ﬁ ligature Ⅷ ½ ²",
    "https://example.com/path?q=1&r=%20", "the the the the", "\n \n", " \n", "a\n b", "ÿþ\ufeff", "▁lower▁one", "<0x0A>", "''''''", "======",
    "tokenization untokenizable",
]


def corpus() -> list[str]:
    topics = "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))[:300000]
    return topics.split("\n") + [SAMPLE] * 40


def byte_level(pre: str, n_vocab: int, specials: list[str], specials_first: bool = False) -> Tokenizer:
    """Byte-level BPE with the pre-tokenizer that llama.cpp calls `pre`, its special tokens first or last."""
    tokenizer = Tokenizer(models.BPE())
    if pre == "smollm":
        cut = pre_tokenizers.Digits(individual_digits=True)
    else:
        cut = pre_tokenizers.Split(Regex(PATTERNS[pre]), behavior="isolated", invert=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre == "smollm")])
    tokenizer.decoder = decoders.ByteLevel()
    if pre in ("qwen2", "qwen35"):
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=n_vocab - len(specials), initial_alphabet=alphabet, show_progress=False))
    document = json.loads(tokenizer.to_str())
    vocab = document["model"]["vocab"]
    first = len(vocab)
    if specials_first:
        first = 0
        document["model"]["vocab"] = {text: i for i, text in enumerate(specials + sorted(vocab, key=vocab.get))}
    document["added_tokens"] = [{"id": first + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                                 "special": True} for i, text in enumerate(specials)]
    if pre in ("llama-bpe", "pixtral"):
        document["model"]["ignore_merges"] = True
    return Tokenizer.from_str(json.dumps(document))


def train_sentencepiece(n_vocab: int, layout: str, user_defined: list[str], path: pathlib.Path) -> None:
    """A SentencePiece BPE with byte fallback, laid out as Gemma's or Llama's."""
    gemma = layout == "gemma"
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in corpus() if text.strip() for line in text.split("\n")]), model_writer=model, vocab_size=n_vocab,
        model_type="bpe", byte_fallback=True, add_dummy_prefix=not gemma, remove_extra_whitespaces=False, normalization_rule_name="identity",
        split_digits=True, allow_whitespace_only_pieces=True, character_coverage=0.98, pad_id=0 if gemma else -1, eos_id=1 if gemma else 2,
        bos_id=2 if gemma else 1, unk_id=3 if gemma else 0, pad_piece="<pad>", eos_piece="<eos>" if gemma else "</s>",
        bos_piece="<bos>" if gemma else "<s>", unk_piece="<unk>", user_defined_symbols=user_defined, minloglevel=2, num_threads=1,
        hard_vocab_limit=False)
    path.write_bytes(model.getvalue())


def from_sentencepiece(path: pathlib.Path, layout: str) -> Tokenizer:
    """The tokenizer.json of a SentencePiece model: its merges follow from the scores, as transformers derives them."""
    model = sentencepiece.SentencePieceProcessor()
    model.LoadFromFile(str(path))
    pieces = [model.IdToPiece(i) for i in range(model.vocab_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for i, piece in enumerate(pieces):
        if model.IsControl(i) or model.IsUnknown(i) or model.IsByte(i) or model.IsUnused(i):
            continue
        splits = [(piece[:k], piece[k:]) for k in range(1, len(piece)) if piece[:k] in vocab and piece[k:] in vocab]
        merges += [(i, split) for split in sorted(splits, key=lambda split: (vocab[split[0]], vocab[split[1]]))]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[split for _, split in sorted(merges, key=lambda merge: merge[0])], byte_fallback=True,
                                     fuse_unk=True, unk_token="<unk>"))
    if layout == "gemma":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    control = [piece for i, piece in enumerate(pieces) if model.IsControl(i) or model.IsUnknown(i)]
    symbols = [piece for i, piece in enumerate(pieces) if not (model.IsControl(i) or model.IsUnknown(i) or model.IsByte(i)) and
               piece.startswith("<") and piece.endswith(">") and len(piece) > 4]
    for group in (control, symbols):
        if group:
            tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in group])
    return tokenizer


def add_bos(tokenizer: Tokenizer, bos: str) -> None:
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])


def save(tokenizer: Tokenizer, folder: pathlib.Path, template: str | None, **named: str | bool) -> None:
    """tokenizer.json, tokenizer_config.json and, from llama.cpp's models/templates, chat_template.jinja."""
    added = json.loads(tokenizer.to_str())["added_tokens"]
    extra = [token["content"] for token in added if token["special"] and token["content"] not in named.values()]
    wrapper = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, extra_special_tokens=extra, **named)
    templates = pathlib.Path(os.environ.get("LLAMA_CPP", "/nonexistent")) / "models/templates"
    if template and (templates / template).is_file():
        wrapper.chat_template = (templates / template).read_text()
    wrapper.save_pretrained(folder)
    # Checkpoints of transformers 4 carry added_tokens_decoder, where the converter reads the tokens' types.
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["added_tokens_decoder"] = {
        str(token["id"]): {key: token[key] for key in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")} for token in added}
    path.write_text(json.dumps(config, indent=1, ensure_ascii=False))


def write_cases(tokenizer: Tokenizer, path: pathlib.Path) -> None:
    """[{text, ids, decoded}] without the tokens that a post-processor adds."""
    specials = [token["content"] for token in json.loads(tokenizer.to_str())["added_tokens"]]
    texts = TEXTS + [f"{a} Hello{b}\n{a}  x{b}{a}" for a, b in zip(specials, specials[1:] + specials[:1])]
    texts += ["".join(specials), "user " + " ".join(specials) + "\n"]
    cases = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    path.write_text(json.dumps(cases, ensure_ascii=False, indent=0))


class TinyTokenizer:
    """A recipe: `write(folder)` puts the files there and returns the tokenizer. Equal recipes are trained once."""

    def __init__(self, kind: str, n_vocab: int, template: str | None, *, pre: str = "", specials: tuple[str, ...] = (), specials_first: bool = False,
                 keep_model: bool = False, bos_in_template: bool = False, **named: str | bool):
        self.recipe = (kind, n_vocab, pre, specials, specials_first)
        self.template, self.named, self.keep_model, self.bos_in_template = template, named, keep_model, bos_in_template

    @staticmethod
    @functools.cache
    def _train(kind: str, n_vocab: int, pre: str, specials: tuple[str, ...], specials_first: bool) -> tuple[str, bytes | None]:
        if kind == "byte_level":
            return byte_level(pre, n_vocab, list(specials), specials_first).to_str(), None
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokenizer.model"
            train_sentencepiece(n_vocab, kind, list(specials), path)
            return from_sentencepiece(path, kind).to_str(), path.read_bytes()

    def write(self, folder: pathlib.Path) -> Tokenizer:
        text, model = self._train(*self.recipe)
        tokenizer = Tokenizer.from_str(text)
        if self.keep_model:
            (folder / "tokenizer.model").write_bytes(model)
        if self.bos_in_template:
            add_bos(tokenizer, str(self.named["bos_token"]))
        save(tokenizer, folder, self.template, **self.named)
        write_cases(tokenizer, folder.parent / "tokenizer_cases.json")
        return tokenizer
