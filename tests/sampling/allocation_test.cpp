// After the first token nothing is allocated. This file replaces the global operator new to count.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "reference.h"
#include "sampling/sampler.h"

namespace {
size_t n_allocations = 0;
}

void* operator new(size_t size) {
    ++n_allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace agave {
namespace {

TEST(Sampler, AllocatesNothingAfterTheFirstToken) {
    constexpr int32_t kVocabulary = 32000;
    const auto logits = testing_reference::random_logits(kVocabulary, 2.0f, 1);
    SamplingParameters greedy;
    greedy.temperature = 0.0f;
    SamplingParameters standard;
    SamplingParameters everything;
    everything.repeat_penalty = 1.1f;
    everything.dry_multiplier = 0.8f;
    everything.typical_p = 0.9f;
    everything.logprobs = true;
    everything.logit_bias = {{1, 1.0f}};
    everything.samplers = "penalties;dry;typical;top_p;min_p;temperature;top_k";
    for (const SamplingParameters& parameters : {greedy, standard, everything}) {
        Sampler sampler(parameters, kVocabulary);
        for (int32_t token = 0; token < 100; ++token) sampler.accept(token);
        sampler.sample(logits);
        const size_t before = n_allocations;
        for (int i = 0; i < 10; ++i) sampler.accept(sampler.sample(logits).id);
        EXPECT_EQ(n_allocations, before);
    }
}

}  // namespace
}  // namespace agave
