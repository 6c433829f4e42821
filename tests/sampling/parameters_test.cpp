// Every parameter is checked, and the message names it, its value and its range.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "sampling/chain.h"
#include "sampling/sampler.h"

namespace agave {
namespace {

std::string complaint(const SamplingParameters& parameters, int32_t n_vocab = 100) {
    try {
        validate(parameters, n_vocab);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        return error.what();
    }
    return "";
}

template <typename Value>
void expect_refused(Value SamplingParameters::* member, const char* name,
                    std::initializer_list<Value> values) {
    for (Value value : values) {
        SamplingParameters p;
        p.*member = value;
        const std::string text = complaint(p);
        char shown[32];
        std::snprintf(shown, sizeof shown, "%g", static_cast<double>(value));
        EXPECT_EQ(text.find(std::string(name) + " is " + shown + ", but must be "), 0u)
            << name << ": " << text;
        EXPECT_THROW(Sampler(p, 100), Error) << name;
    }
}

template <typename Value>
void expect_taken(Value SamplingParameters::* member, std::initializer_list<Value> values) {
    for (Value value : values) {
        SamplingParameters p;
        p.*member = value;
        EXPECT_EQ(complaint(p), "");
    }
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
using P = SamplingParameters;

TEST(Parameters, TheDefaultsAreTaken) {
    EXPECT_EQ(complaint({}), "");
}

TEST(Parameters, Temperature) {
    expect_refused(&P::temperature, "temperature", {-0.1f, 1e-7f, 2e6f, kInf, -kInf, kNan});
    expect_taken(&P::temperature, {0.0f, 1e-6f, 1.0f, 1e6f});
}

TEST(Parameters, TopK) {
    expect_refused(&P::top_k, "top_k", {-1, std::numeric_limits<int32_t>::min()});
    expect_taken(&P::top_k, {0, 1, 100, std::numeric_limits<int32_t>::max()});
}

TEST(Parameters, Probabilities) {
    expect_refused(&P::top_p, "top_p", {-0.01f, 1.01f, kInf, kNan});
    expect_refused(&P::min_p, "min_p", {-0.01f, 1.01f, kInf, kNan});
    expect_refused(&P::typical_p, "typical_p", {-0.01f, 1.01f, kInf, kNan});
    expect_taken(&P::top_p, {0.0f, 0.5f, 1.0f});
    expect_taken(&P::min_p, {0.0f, 0.5f, 1.0f});
    expect_taken(&P::typical_p, {0.0f, 0.5f, 1.0f});
}

TEST(Parameters, Penalties) {
    expect_refused(&P::repeat_penalty, "repeat_penalty", {0.0f, -1.0f, 101.0f, kInf, kNan});
    expect_refused(&P::presence_penalty, "presence_penalty", {-101.0f, 101.0f, kInf, kNan});
    expect_refused(&P::frequency_penalty, "frequency_penalty", {-101.0f, 101.0f, -kInf, kNan});
    expect_refused(&P::penalty_last_n, "penalty_last_n", {-2, std::numeric_limits<int32_t>::min()});
    expect_taken(&P::penalty_last_n, {-1, 0, std::numeric_limits<int32_t>::max()});
    expect_taken(&P::repeat_penalty, {0.01f, 1.0f, 100.0f});
    expect_taken(&P::presence_penalty, {-100.0f, 100.0f});
    expect_taken(&P::frequency_penalty, {-100.0f, 100.0f});
}

TEST(Parameters, Dry) {
    expect_refused(&P::dry_multiplier, "dry_multiplier", {-0.1f, 101.0f, kInf, kNan});
    expect_refused(&P::dry_base, "dry_base", {0.9f, 101.0f, kInf, kNan});
    expect_refused(&P::dry_allowed_length, "dry_allowed_length", {0, -1, 51});
    expect_refused(&P::dry_penalty_last_n, "dry_penalty_last_n", {-2});
    expect_taken(&P::dry_allowed_length, {1, 50});
    P p;
    p.dry_sequence_breakers = {{1}, {}};
    EXPECT_EQ(complaint(p), "dry_sequence_breakers has an empty sequence");
    p.dry_sequence_breakers = {{1, 100}};
    EXPECT_EQ(complaint(p),
              "dry_sequence_breakers names token 100, but the vocabulary has the tokens 0 to 99");
}

TEST(Parameters, LogitBias) {
    P p;
    p.logit_bias = {{99, -kInf}, {0, 5.0f}};
    EXPECT_EQ(complaint(p), "");
    for (int32_t token : {-1, 100, std::numeric_limits<int32_t>::max()}) {
        p.logit_bias = {{token, 1.0f}};
        EXPECT_NE(complaint(p).find("logit_bias names token " + std::to_string(token)), std::string::npos);
    }
    for (float bias : {kInf, kNan}) {
        p.logit_bias = {{1, bias}};
        EXPECT_NE(complaint(p).find("logit_bias is "), std::string::npos);
    }
}

TEST(Parameters, Vocabulary) {
    EXPECT_EQ(complaint({}, 0), "n_vocab is 0, but must be 1 or more");
    EXPECT_NE(complaint({}, -5), "");
}

TEST(Chain, ReadsNamesInOrder) {
    EXPECT_TRUE(parse_chain("").empty());
    EXPECT_EQ(parse_chain("top_p"), std::vector<Stage>{Stage::top_p});
    EXPECT_EQ(parse_chain("temperature;min_p;top_p;typical;top_k;dry;penalties"),
              (std::vector<Stage>{Stage::temperature, Stage::min_p, Stage::top_p, Stage::typical,
                                  Stage::top_k, Stage::dry, Stage::penalties}));
}

TEST(Chain, RefusesWhatItDoesNotKnow) {
    for (const char* text : {"top_q", ";", "top_p;", ";top_p", "top_p;;min_p", "top_p,min_p", "Top_p",
                             "top_p ", "\x01\xff", "top_k;temp"}) {
        P p;
        p.samplers = text;
        EXPECT_NE(complaint(p).find("but must name samplers of penalties, dry, top_k"), std::string::npos)
            << text;
    }
    P p;
    p.samplers = "top_p;min_p;top_p";
    EXPECT_EQ(complaint(p), "samplers names top_p twice");
    p.samplers = std::string(100000, 'x');
    EXPECT_LT(complaint(p).size(), 300u);
}

}  // namespace
}  // namespace agave
