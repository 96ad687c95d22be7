/* SPDX-License-Identifier: Apache-2.0 */
/* Imports a module and calls it, as the lines of the test say: frames of X bytes on stdin, answers of Y bytes on stdout. Exit code:
 * 0, or the number of what is wrong. */
#include "py/dynruntime.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

struct object mp_none;
static mp_obj_t globals[MP_QSTRS];
static jmp_buf handler;

void *m_malloc(size_t bytes) { return malloc(bytes); }
void m_free(void *content) { free(content); }
void mp_store_global(int name, mp_obj_t object) { globals[name] = object; }
void mp_raise_ValueError(const char *text) { (void)text; longjmp(handler, 1); }

static mp_obj_t object(int kind, uint32_t number, size_t length, void *content)
{
    mp_obj_t made = calloc(1, sizeof *made);
    made->kind = kind;
    made->number = number;
    made->length = length;
    made->content = content;
    return made;
}

mp_obj_t mp_obj_new_int(int number) { return object(NUMBER, (uint32_t)number, 0, 0); }
mp_obj_t mp_obj_new_int_from_uint(uint32_t number) { return object(NUMBER, number, 0, 0); }
mp_obj_t mp_obj_new_bytearray_by_ref(size_t length, void *content) { return object(BUFFER, 0, length, content); }

void mp_get_buffer_raise(mp_obj_t from, mp_buffer_info_t *found, mp_uint_t access)
{
    (void)access;
    if (from->kind != BUFFER) {
        mp_raise_ValueError("");
    }
    found->buf = from->content;
    found->len = from->length;
}

/* What a call gives, 0 where it raised. */
static mp_obj_t call(int name, size_t count, mp_obj_t *args)
{
    mp_obj_t f = globals[name];
    if (!f || count < f->least || count > f->most || setjmp(handler)) {
        return 0;
    }
    switch (name) {
    case MP_QSTR_new:
    case MP_QSTR_selftest:
        return ((mp_obj_t(*)(void))f->function)();
    case MP_QSTR_reset:
    case MP_QSTR_save:
        return ((mp_obj_t(*)(mp_obj_t))f->function)(args[0]);
    case MP_QSTR_restore:
        return ((mp_obj_t(*)(mp_obj_t, mp_obj_t))f->function)(args[0], args[1]);
    default:
        return ((mp_obj_t(*)(size_t, const mp_obj_t *))f->function)(count, args);
    }
}

#define CHECK(code, condition) \
    if (!(condition)) {        \
        return code;           \
    }

int main(void)
{
    static uint32_t x[(X + 3) / 4], y[(Y + 3) / 4], again[(Y + 3) / 4];
    mp_obj_t args[3], stream, saved, short_one;
    CHECK(1, mpy_init(0, 0, 0, 0) == &mp_none)
    CHECK(2, call(MP_QSTR_selftest, 0, 0)->number == 0)
    CHECK(3, globals[MP_QSTR_MODEL_ID]->number == ID)
    stream = call(MP_QSTR_new, 0, 0);
    args[0] = stream;
    args[1] = object(BUFFER, 0, X, x);
    args[2] = object(BUFFER, 0, Y, y);
    while (fread(x, 1, X, stdin) == X) {
        CHECK(4, call(MP_QSTR_step, 3, args)->number == 1)
        fwrite(y, 1, Y, stdout);
    }
    saved = call(MP_QSTR_save, 1, args);
    CHECK(5, call(MP_QSTR_step, 3, args))
    memcpy(again, y, Y);
    args[1] = saved;
    CHECK(6, call(MP_QSTR_restore, 2, args) == &mp_none)
    args[1] = object(BUFFER, 0, X, x);
    CHECK(7, call(MP_QSTR_step, 3, args) && memcmp(again, y, Y) == 0)
    ((uint8_t *)saved->content)[14] ^= 1;
    args[1] = saved;
    CHECK(8, !call(MP_QSTR_restore, 2, args))
    short_one = object(BUFFER, 0, X - 1, x);
    args[1] = short_one;
    CHECK(9, !call(MP_QSTR_step, 3, args))
    args[1] = object(BUFFER, 0, X, (uint8_t *)x + 1);
    CHECK(10, !call(MP_QSTR_step, 3, args))
    CHECK(11, !call(MP_QSTR_step, 2, args) && call(MP_QSTR_reset, 1, args) == &mp_none)
    return 0;
}
