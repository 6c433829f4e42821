#include "cli/divergence.h"

namespace agave::cli {

// Written for this file: prose, a recipe, a dialogue, code, arithmetic, another language.
const char* const kSampleText =
    R"(The harbour freezes only in hard winters, and then the children walk out to the lighthouse over the ice. Old
people in the town still count the years by it: the year of the long ice, when the post came by sledge, the year
when it broke in the night and carried three boats away. Between such winters nobody speaks of it. The water is
grey, the gulls sit on the poles, and in the afternoon the ferry comes round the point, always a little late, and
turns slowly into the wind before it lands.

Heat moves from a warm body to a cold one until both have the same temperature. It does so in three ways: through
matter that touches, by matter that moves, and by radiation, which needs no matter at all. A vacuum flask works
against all three. Its double wall holds almost no air, so that nothing can conduct or carry the heat; its
surfaces are silvered, so that they radiate little; and its stopper closes the one place where air could rise.
The coffee stays warm for a day, not because the flask heats it, but because the flask gives the heat no way out.

Pancakes for four. You need 250 g of flour, half a litre of milk, 3 eggs, a pinch of salt and some butter. Beat the
eggs with the salt, add the flour and then, little by little, the milk, until there are no lumps left. Let the
batter rest for twenty minutes. Melt a little butter in a pan, pour in a ladle of batter, and turn the pancake as
soon as its edge is brown. Serve them with sugar and lemon.

"Have you read the letter?" she asked.
"Twice," he said. "I still don't know what he wants."
"He wants to come home, that is all. He only cannot write it."
"Then he should take the train on Friday, and we shall meet him at the station. It is not so difficult."
She folded the paper and laid it back in the drawer. "For you it is not," she said.

def primes(limit):
    """Return all prime numbers below limit."""
    sieve = [True] * limit
    for n in range(2, int(limit ** 0.5) + 1):
        if sieve[n]:
            for multiple in range(n * n, limit, n):
                sieve[multiple] = False
    return [n for n in range(2, limit) if sieve[n]]

for p in primes(30):
    print(p)

A train leaves at 9:15 and arrives at 11:45, having covered 200 kilometres. It was on its way for two and a half
hours, so its average speed was 200 / 2.5 = 80 kilometres per hour. Had it gone at 100 kilometres per hour, it
would have needed two hours and arrived at 11:15.

Der Fluss entspringt in den Bergen und fliesst nach Norden. An seinem Ufer liegen viele kleine Orte, in denen man
Wein anbaut. Im Sommer kommen Gaeste mit dem Schiff, im Winter ist es still.

The first printed books looked like manuscripts, because readers expected it. The letters imitated a scribe's hand,
the initials were painted in by hand, and the pages had no numbers. It took fifty years until printers saw that
they had made something new: title pages, indices, page numbers and small books for the pocket. New tools first do
the old work, and only later find their own. The same happened with the film, which began as theatre in front of a
camera, and with the motor car, which was a coach without a horse. Each of them needed people who had grown up with
the new thing and did not know that it was supposed to be like the old one.
)";

}  // namespace agave::cli
