// The command line itself: help, documentation, and one sentence with exit status 2 for what cannot be meant.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "process.h"

namespace agave::test {
namespace {

const char* const command_names[] = {"run",        "chat",  "inspect", "tokenize",   "logits",
                                     "perplexity", "bench", "pull",    "list",       "show",
                                     "rm",         "plan",  "doctor",  "completion", "help"};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

/// The "--names" at the beginning of help's option lines.
std::set<std::string> options_in_help(const std::string& help) {
    std::set<std::string> names;
    for (const std::string& line : lines_of(help)) {
        if (!line.starts_with("  -") && !line.starts_with("      --")) continue;
        const size_t begin = line.find("--");
        names.insert(line.substr(begin, line.find_first_of(" \n", begin) - begin));
    }
    return names;
}

/// The same from the section of one command in docs/cli.md.
std::set<std::string> options_in_documentation(const std::string& command) {
    std::set<std::string> names;
    bool inside = false;
    for (const std::string& line : lines_of(read_whole(AGAVE_TEST_DATA "/../../docs/cli.md"))) {
        if (line.starts_with("## ")) inside = (line + " ").starts_with("## agave " + command + " ");
        if (!inside || !line.starts_with("| `")) continue;
        const size_t begin = line.find("--");
        names.insert(line.substr(begin, line.find_first_of(" `", begin) - begin));
    }
    return names;
}

TEST(Help, AloneAndByFlagIsTheSame) {
    const Outcome alone = agave({});
    EXPECT_EQ(alone.status, 0);
    EXPECT_EQ(alone.err, "");
    for (const char* name : command_names)
        EXPECT_NE(alone.out.find(std::string("\n  ") + name), std::string::npos) << name;
    EXPECT_EQ(agave({"--help"}).out, alone.out);
    EXPECT_EQ(agave({"-h"}).out, alone.out);
    EXPECT_EQ(agave({"help"}).out, alone.out);
}

TEST(Help, OfEachCommandFitsAndIsReachedBothWays) {
    for (const char* name : command_names) {
        const Outcome help = agave({name, "--help"});
        EXPECT_EQ(help.status, 0) << name;
        EXPECT_EQ(agave({"help", name}).out, help.out);
        EXPECT_TRUE(help.out.starts_with(std::string("usage: agave ") + name));
        for (const std::string& line : lines_of(help.out)) EXPECT_LE(line.size(), 100u) << line;
    }
}

TEST(Help, AndDocumentationListTheSameOptions) {
    for (const char* name : command_names) {
        const std::set<std::string> in_help = options_in_help(agave({name, "--help"}).out);
        EXPECT_TRUE(in_help.contains("--help")) << name;
        EXPECT_EQ(in_help, options_in_documentation(name)) << name;
    }
    const std::set<std::string> of_run = options_in_help(agave({"run", "--help"}).out);
    for (const char* option :
         {"--max-tokens", "--temperature", "--top-k", "--top-p", "--min-p", "--typical", "--repeat-penalty",
          "--seed", "--system", "--ctx-size", "--threads", "--kv-type", "--json", "--quiet", "--verbose",
          "--color", "--profile", "--samplers"})
        EXPECT_TRUE(of_run.contains(option)) << option;
}

TEST(Help, DocumentationIsWhatTheProgramPrints) {
    EXPECT_EQ(read_whole(AGAVE_TEST_DATA "/../../docs/cli.md"), agave({"help", "--markdown"}).out);
}

/// What the completion of bash offers for the words on the line.
std::string completed(const std::string& words, int index) {
    const std::string script = "source <(" AGAVE_BINARY " completion bash); COMP_WORDS=(" + words +
                               "); COMP_CWORD=" + std::to_string(index) + "; _agave; echo ${COMPREPLY[@]}";
    std::FILE* pipe = ::popen(("bash -c '" + script + "'").c_str(), "r");
    char line[4096] = "";
    const bool read = std::fgets(line, sizeof line, pipe);
    ::pclose(pipe);
    return read ? line : "";
}

TEST(Completion, KnowsCommandsOptionsAndChoices) {
    EXPECT_EQ(completed("agave perp", 1), "perplexity\n");
    EXPECT_EQ(completed("agave run --temp", 2), "--temperature\n");
    EXPECT_EQ(completed("agave run --kv-type \"\"", 3), "f16 f32\n");
    EXPECT_EQ(completed("agave inspect --temp", 2), "\n");
    EXPECT_EQ(completed("agave help tok", 2), "tokenize\n");
    for (const char* shell : {"bash", "zsh", "fish"}) {
        const std::string script = agave({"completion", shell}).out;
        for (const char* name : command_names)
            EXPECT_NE(script.find(name), std::string::npos) << shell << name;
    }
    EXPECT_EQ(agave({"completion", "csh"}).status, 2);
}

TEST(ManualPage, HoldsEveryCommandAndOption) {
    const std::string page = agave({"help", "--man"}).out;
    for (const char* name : command_names)
        EXPECT_NE(page.find(std::string(".SS agave ") + name), std::string::npos) << name;
    EXPECT_NE(page.find("\\-\\-max\\-tokens"), std::string::npos);
}

TEST(Version, NamesTheProgram) {
    const Outcome version = agave({"--version"});
    EXPECT_EQ(version.status, 0);
    EXPECT_TRUE(version.out.starts_with("agave 0."));
}

/// A wrong command line, and what its one sentence says.
struct Wrong {
    std::vector<std::string> words;
    const char* sentence;
};

class WrongUsage : public testing::TestWithParam<Wrong> {};

TEST_P(WrongUsage, IsOneSentenceAndStatus2) {
    std::vector<std::string> words = GetParam().words;
    for (std::string& word : words)
        if (word == "MODEL") word = test_model("chat.gguf");
    const Outcome outcome = agave(words, "text on standard input");
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(GetParam().sentence), std::string::npos) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("agave: ")) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

const Wrong wrong[] = {
    {{"rnu", "MODEL"}, "'rnu' is neither a command nor a file; did you mean 'agave run'?"},
    {{"nonsense-of-all-kinds"}, "is neither a command nor a file; 'agave --help' lists the commands"},
    {{"help", "benhc"}, "did you mean 'agave bench'?"},
    {{"./missing.gguf", "hello"}, "cannot open './missing.gguf': No such file or directory"},
    {{"missing.gguf"}, "cannot open 'missing.gguf'"},
    {{"run"}, "'agave run' needs MODEL [PROMPT]"},
    {{"run", "MODEL", "why", "is"}, "so 'is' is one word too many"},
    {{"run", "MODEL", "hi", "--tempratur", "1"},
     "has no option '--tempratur'; did you mean '--temperature'?"},
    {{"run", "MODEL", "hi", "--xyzzy"}, "has no option '--xyzzy'"},
    {{"run", "MODEL", "hi", "-x"}, "has no option '-x'"},
    {{"run", "MODEL", "hi", "--greedy", "3"},
     "'--greedy' is an option of 'agave logits', not of 'agave run'"},
    {{"run", "MODEL", "hi", "--top", "3"}, "'--top' may be any of --top-k --top-p"},
    {{"run", "MODEL", "hi", "--top-k"}, "--top-k needs a value: N"},
    {{"run", "MODEL", "hi", "-n"}, "-n/--max-tokens needs a value: N"},
    {{"run", "MODEL", "hi", "--quiet=1"}, "--quiet takes no value"},
    {{"run", "MODEL", "hi", "-n", "0"}, "-n/--max-tokens: '0' is not an integer from 1 to 2147483647"},
    {{"run", "MODEL", "hi", "-n", "-1"}, "'-1' is not an integer from 1"},
    {{"run", "MODEL", "hi", "-n", "many"}, "'many' is not an integer"},
    {{"run", "MODEL", "hi", "-n", "3.5"}, "'3.5' is not an integer"},
    {{"run", "MODEL", "hi", "-n", "3x"}, "'3x' is not an integer"},
    {{"run", "MODEL", "hi", "-n", "99999999999999999999"}, "is not an integer"},
    {{"run", "MODEL", "hi", "-n", ""}, "'' is not an integer"},
    {{"run", "MODEL", "hi", "-t", "-0.5"}, "-t/--temperature: '-0.5' is not a number from 0 to 1000000"},
    {{"run", "MODEL", "hi", "-t", "nan"}, "'nan' is not a number"},
    {{"run", "MODEL", "hi", "-t", "inf"}, "'inf' is not a number"},
    {{"run", "MODEL", "hi", "-t", "1e999"}, "'1e999' is not a number"},
    {{"run", "MODEL", "hi", "-t", "0x10"}, "'0x10' is not a number"},
    {{"run", "MODEL", "hi", "-t", "hot"}, "'hot' is not a number"},
    {{"run", "MODEL", "hi", "--top-p", "1.5"}, "--top-p: '1.5' is not a number from 0 to 1"},
    {{"run", "MODEL", "hi", "--min-p", "-1"}, "--min-p"},
    {{"run", "MODEL", "hi", "--repeat-penalty", "0"},
     "--repeat-penalty: '0' is not a number from 0.01 to 100"},
    {{"run", "MODEL", "hi", "--penalty-last-n", "-2"}, "--penalty-last-n: '-2' is not an integer from -1"},
    {{"run", "MODEL", "hi", "--dry-base", "0.5"}, "--dry-base"},
    {{"run", "MODEL", "hi", "--dry-multiplier", "1", "--dry-sequence-breaker", ""},
     "--dry-sequence-breaker: the text is empty"},
    {{"run", "MODEL", "hi", "--seed", "-1"}, "--seed: '-1' is not an integer from 0 to 18446744073709551615"},
    {{"run", "MODEL", "hi", "--seed", "18446744073709551616"}, "--seed"},
    {{"run", "MODEL", "hi", "--kv-type", "f8"}, "--kv-type: 'f8' is not one of f16|f32"},
    {{"run", "MODEL", "hi", "--color", "maybe"}, "--color: 'maybe' is not one of auto|always|never"},
    {{"run", "MODEL", "hi", "--cpu-level", "avx3"}, "--cpu-level: 'avx3' is not one of portable, avx2"},
    {{"run", "MODEL", "hi", "--cpu-level", ""}, "--cpu-level: the value is empty"},
    {{"run", "MODEL", "hi", "--threads", "0"}, "--threads: '0' is not an integer from 1 to 1024"},
    {{"run", "MODEL", "hi", "--ctx-size", "0"}, "--ctx-size: '0' is not an integer from 1"},
    {{"run", "MODEL", "hi", "--samplers", "top_k;magic"}, "samplers names 'magic'"},
    {{"run", "MODEL", "hi", "--stop", ""}, "stop"},
    {{"run", "MODEL", "hi", "--logit-bias", "7"}, "--logit-bias: '7' is not of the form ID=X"},
    {{"run", "MODEL", "hi", "--logit-bias", "x=1"}, "--logit-bias: 'x=1' is not of the form ID=X"},
    {{"run", "MODEL", "hi", "--logit-bias", "7=inf"}, "--logit-bias: '7=inf' is not of the form ID=X"},
    {{"run", "MODEL", "hi", "--logit-bias", "270=1"},
     "--logit-bias: token 270 is outside the vocabulary of 270"},
    {{"run", "MODEL", "hi", "--logit-bias", "-1=1"}, "--logit-bias: token -1 is outside the vocabulary"},
    {{"run", "MODEL", "hi", "--raw", "--system", "be brief"}, "--system and --raw exclude each other"},
    {{"run", "/", "hi"}, "'/' holds no config.json, so it is no model of Hugging Face"},
    {{"run", "/dev/null", "hi"}, "cannot read '/dev/null'"},
    {{"inspect"}, "'agave inspect' needs FILE"},
    {{"inspect", "MODEL", "--tensor", "output.weight"}, "--tensor NAME and --out FILE belong together"},
    {{"inspect", "MODEL", "--out", "x.npy"}, "--tensor NAME and --out FILE belong together"},
    {{"inspect", "MODEL", "--tensor", "nothing", "--out", "x.npy"}, "has no tensor 'nothing'"},
    {{"inspect", "MODEL", "--tensor", "output.weight", "--out", "/missing/folder/x.npy"},
     "/missing/folder/x.npy"},
    {{"tokenize"}, "'agave tokenize' needs MODEL"},
    {{"tokenize", "MODEL", "--show-special"}, "--show-special needs --decode"},
    {{"tokenize", "MODEL", "--decode", "--no-special"}, "--decode reads ids"},
    {{"tokenize", "MODEL", "--decode"}, "standard input is not a list of token ids: 'text on standard in"},
    {{"logits", "MODEL", "--out", "x.npy"}, "'agave logits' needs --tokens"},
    {{"logits", "MODEL", "--tokens", "1,2"}, "needs --out FILE for the logits, or --greedy N"},
    {{"logits", "MODEL", "--tokens", "1,,2", "--greedy", "1"},
     "--tokens is not a list of token ids: ',2' at byte 2"},
    {{"logits", "MODEL", "--tokens", "1,2,", "--greedy", "1"}, "--tokens is not a list of token ids"},
    {{"logits", "MODEL", "--tokens", "[1,2", "--greedy", "1"}, "--tokens is not a list of token ids"},
    {{"logits", "MODEL", "--tokens", "1.5", "--greedy", "1"}, "--tokens is not a list of token ids"},
    {{"logits", "MODEL", "--tokens", "99999999999", "--greedy", "1"}, "--tokens is not a list of token ids"},
    {{"logits", "MODEL", "--tokens", "[]", "--greedy", "1"}, "--tokens: no token ids are given"},
    {{"logits", "MODEL", "--tokens", "@/missing.json", "--greedy", "1"}, "cannot open '/missing.json'"},
    {{"logits", "MODEL", "--tokens", "1,270", "--greedy", "1"},
     "token id 270 is outside the vocabulary of 270"},
    {{"logits", "MODEL", "--tokens=-1", "--greedy", "1"}, "token id -1 is outside the vocabulary of 270"},
    {{"logits", "MODEL", "--tokens", "1,2", "--last", "3", "--out", "x.npy"},
     "--last: 3 logits are asked for, but there are only 2 tokens"},
    {{"perplexity", "MODEL"}, "'agave perplexity' needs --file"},
    {{"perplexity", "MODEL", "--file", "/missing.txt"}, "cannot open '/missing.txt'"},
    {{"perplexity", "MODEL", "--file", "/"}, "cannot read '/': it is a directory"},
    {{"perplexity", "MODEL", "--file", "/dev/null"},
     "'/dev/null' has 1 tokens, but two chunks of --ctx-size 512 need at least 1024"},
    {{"perplexity", "MODEL", "--file", "x", "--ctx-size", "3"}, "--ctx-size: '3' is not an integer from 4"},
    {{"bench", "MODEL", "-p", "0", "-n", "0"}, "-p 0 and -n 0 leave nothing to measure"},
    {{"bench", "MODEL", "-d", "1,x"}, "-d/--depth: 'x' is not an integer"},
    {{"bench", "MODEL", "-d", "1,"}, "-d/--depth: '' is not an integer"},
    {{"bench", "MODEL", "-r", "0"}, "-r/--repetitions: '0' is not an integer from 1"},
};

INSTANTIATE_TEST_SUITE_P(Words, WrongUsage, testing::ValuesIn(wrong));

}  // namespace
}  // namespace agave::test
