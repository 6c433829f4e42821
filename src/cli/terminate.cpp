#include <cstdio>
#include <cstdlib>
#include <exception>
#include <version>

#ifdef __GLIBCXX__
/// What an exception that nobody caught ends in. The linker takes this in place of libstdc++'s own, which
/// would bring 45 KB of name demangling for a message that no user can read.
void __gnu_cxx::__verbose_terminate_handler() {
    try {
        if (const std::exception_ptr uncaught = std::current_exception()) std::rethrow_exception(uncaught);
    } catch (const std::exception& error) {
        fprintf(stderr, "agave: unexpected error: %s\n", error.what());
    } catch (...) {
        fputs("agave: unexpected error\n", stderr);
    }
    abort();
}
#endif
