/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CONTRACT_H
#define RNNC_CONTRACT_H
/* What a target's kernels must define, checked once they are: rows.h includes this after them. Nothing here becomes code.
 *
 * An error below names the function or the constant; rows.h says what each of them does. */
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

#if RNNC_GROUP < 1 || (RNNC_GROUP & (RNNC_GROUP - 1)) != 0
#error \
    "contract of a target: RNNC_GROUP is no power of two, and rows of 1 to 4 a unit do not fill whole groups"
#endif

#if RNNC_CALL_ROWS % RNNC_GROUP != 0
#error "contract of a target: RNNC_CALL_ROWS is no multiple of RNNC_GROUP"
#endif

#ifndef RNNC_LANES
#error "contract of a target: RNNC_LANES, the units whose gates are computed together, is missing"
#elif RNNC_LANES < 1 || (RNNC_LANES & (RNNC_LANES - 1)) != 0
#error \
    "contract of a target: RNNC_LANES is no power of two, and a batch of units does not fill whole groups"
#endif

#ifndef RNNC_OPERAND_BYTES
#error \
    "contract of a target: RNNC_OPERAND_BYTES(columns, bits), the bytes that rnnc_prepare writes, is missing"
#elif RNNC_OPERAND_BYTES(1, 8) < 1 || RNNC_OPERAND_BYTES(37, 8) < 37 || \
    RNNC_OPERAND_BYTES(37, 16) < 74
#error "contract of a target: RNNC_OPERAND_BYTES(columns, bits) is less than the columns themselves"
#endif

/* Compiles where `function` is one of the type `function`_type, and no other. */
#ifdef __cplusplus
#define RNNC_CONTRACT(function)                                                                  \
    typedef char                                                                                 \
        function##_must_be_as_in_contract_h[sizeof(static_cast<function##_type *>(function)) ? 1 \
                                                                                             : -1]
#elif defined(__GNUC__)
#define RNNC_CONTRACT(function)                      \
    typedef char function##_must_be_as_in_contract_h \
        [__builtin_types_compatible_p(__typeof__(function), function##_type) ? 1 : -1]
#else /* declared once more: another type is a conflict */
#define RNNC_CONTRACT(function)                                                     \
    typedef char function##_must_be_as_in_contract_h[sizeof(&(function)) ? 1 : -1]; \
    static function##_type function
#endif

typedef void rnnc_prepare_type(void *v, const void *x, uint8_t bits, uint16_t columns);
typedef const int8_t *rnnc_product_type(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                        uint16_t columns, uint16_t rows);
RNNC_CONTRACT(rnnc_prepare);
RNNC_CONTRACT(rnnc_product);
typedef rnnc_product_type rnnc_product_wide_type;
RNNC_CONTRACT(rnnc_product_wide);

typedef int8_t rnnc_rom_i8_type(const int8_t *p);
typedef uint8_t rnnc_rom_u8_type(const uint8_t *p);
typedef int16_t rnnc_rom_i16_type(const int16_t *p);
typedef uint16_t rnnc_rom_u16_type(const uint16_t *p);
typedef int32_t rnnc_rom_i32_type(const int32_t *p);
typedef uint32_t rnnc_rom_u32_type(const uint32_t *p);
typedef const void *rnnc_rom_bytes_type(void *buffer, const void *p, size_t n);
RNNC_CONTRACT(rnnc_rom_i8);
RNNC_CONTRACT(rnnc_rom_u8);
RNNC_CONTRACT(rnnc_rom_i16);
RNNC_CONTRACT(rnnc_rom_u16);
RNNC_CONTRACT(rnnc_rom_i32);
RNNC_CONTRACT(rnnc_rom_u32);
RNNC_CONTRACT(rnnc_rom_bytes);

/* What a target may replace. */
#ifdef RNNC_PRODUCT_FEW
typedef rnnc_product_type rnnc_product_few_type;
RNNC_CONTRACT(rnnc_product_few);
#endif
#ifdef RNNC_PRODUCT_SPARSE /* rows without their blocks of zeros, as rnnc/backend/sparse.py lays them out */
typedef rnnc_product_type rnnc_product_sparse_type;
RNNC_CONTRACT(rnnc_product_sparse);
#endif
#ifdef RNNC_SOFTMAX_ROW /* of elements side by side, as rnnc_softmax */
typedef void rnnc_softmax_row_type(const int32_t *x, int16_t *y, size_t n, uint8_t term_bits);
RNNC_CONTRACT(rnnc_softmax_row);
#endif
#ifdef RNNC_SHIFT
typedef int32_t rnnc_shift_type(int32_t x, uint32_t s);
RNNC_CONTRACT(rnnc_shift);
#endif
#ifdef RNNC_RIGHT
typedef int32_t rnnc_right_type(int32_t x, uint8_t n);
RNNC_CONTRACT(rnnc_right);
#endif
#ifdef RNNC_SCALED
typedef int32_t rnnc_scaled_type(int32_t a, uint32_t scale);
RNNC_CONTRACT(rnnc_scaled);
#endif
#ifdef RNNC_MUL15
typedef int32_t rnnc_mul15_type(int32_t u, int32_t d);
RNNC_CONTRACT(rnnc_mul15);
#endif
#ifdef RNNC_CURVES
typedef int32_t rnnc_curve_type(int32_t p, const int32_t *line, const uint16_t *slope);
typedef rnnc_curve_type rnnc_sigmoid_by_type;
RNNC_CONTRACT(rnnc_sigmoid_by);
typedef rnnc_curve_type rnnc_tanh_by_type;
RNNC_CONTRACT(rnnc_tanh_by);
#endif
#ifdef RNNC_LUT_INDEX
typedef uint32_t rnnc_lut_index_type(uint32_t a);
RNNC_CONTRACT(rnnc_lut_index);
#endif

#endif
