/* What every test includes: cmocka and the paths of the reference figures. */
#ifndef BNN_TESTS_TESTING_H
#define BNN_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

/* Tests run from the top of the tree (make test). */
#define REFERENCE "tests/reference/"

/* |found - expected| <= relative * max(|expected|, floor), with both figures in the message. */
#define assert_close(found, expected, relative, floor)                                                       \
    do {                                                                                                     \
        const double found_ = (double)(found), expected_ = (double)(expected);                               \
        if (!(fabs(found_ - expected_) <= (relative)*fmax(fabs(expected_), (floor))))                        \
            fail_msg("%s is %.17g, expected %.17g", #found, found_, expected_);                              \
    } while (0)

#endif
