/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DYNRUNTIME_H
#define DYNRUNTIME_H
/* What a package's module takes of the API of MicroPython's native modules (docs/develop/natmod), in a program of this machine:
 * objects are pointers to struct object, an exception ends the call that board.c made. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct object {
    enum { NONE, NUMBER, BUFFER, FUNCTION } kind;
    uint32_t number;
    size_t length;
    void *content;
    const void *function;
    size_t least, most;
};

typedef struct object *mp_obj_t;
typedef uintptr_t mp_uint_t;
typedef struct {
    void *buf;
    size_t len;
} mp_buffer_info_t;
typedef struct {
    int unused;
} mp_obj_fun_bc_t;

enum { MP_BUFFER_READ = 1, MP_BUFFER_RW = 3 };
enum { MP_QSTR_new, MP_QSTR_reset, MP_QSTR_step, MP_QSTR_flush, MP_QSTR_next, MP_QSTR_save, MP_QSTR_restore, MP_QSTR_selftest, MP_QSTR_MODEL_ID, MP_QSTRS };

extern struct object mp_none;
void *m_malloc(size_t bytes);
void m_free(void *content);
void mp_store_global(int name, mp_obj_t object);
mp_obj_t mp_obj_new_int(int number);
mp_obj_t mp_obj_new_int_from_uint(uint32_t number);
mp_obj_t mp_obj_new_bytearray_by_ref(size_t length, void *content);
void mp_get_buffer_raise(mp_obj_t object, mp_buffer_info_t *found, mp_uint_t access);
void mp_raise_ValueError(const char *text);
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args);

#define mp_const_none (&mp_none)
#define MP_ERROR_TEXT(text) text
#define MP_OBJ_FROM_PTR(p) ((mp_obj_t)(p))
#define MP_DYNRUNTIME_INIT_ENTRY (void)self; (void)n_args; (void)n_kw; (void)args;
#define MP_DYNRUNTIME_INIT_EXIT return mp_const_none;
#define FUNCTION_OBJECT(name, f, few, many) struct object name = {FUNCTION, 0, 0, 0, (const void *)(f), few, many}
#define MP_DEFINE_CONST_FUN_OBJ_0(name, f) FUNCTION_OBJECT(name, f, 0, 0)
#define MP_DEFINE_CONST_FUN_OBJ_1(name, f) FUNCTION_OBJECT(name, f, 1, 1)
#define MP_DEFINE_CONST_FUN_OBJ_2(name, f) FUNCTION_OBJECT(name, f, 2, 2)
#define MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(name, few, many, f) FUNCTION_OBJECT(name, f, few, many)

#endif
