/* For tests that train by the program: its path, a temporary directory and the small data set in it. */
#ifndef BNN_TESTS_TRAININGS_H
#define BNN_TESTS_TRAININGS_H

#include "images.h"
#include "program.h"

static inline int set_up_trainings(void **state)
{
    if (find_program() || make_temporary_directory(state)) return -1;
    put_data_set();
    return 0;
}

#endif
