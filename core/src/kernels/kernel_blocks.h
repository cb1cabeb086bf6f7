/* Products of blocks of rows with up to eight vectors, for instruction sets that say how to

   rows_start(correction)      begin the sums of a block,
   rows_load(weights)          read a group of it,
   rows_add(sums, group, x)    add the products of a group, with x in all lanes,
   rows_store(sums, to)        write the sums;

   all on values of the type `rows`: variables with a name each, which every compiler keeps in registers. Where a product
   waits some cycles for the sum that it is added to, a vector has several: of SUMS registers, and then also

   rows_none()                 begin sums of nothing,
   rows_sum(sums, sums)        add up. */

#ifndef SUMS
#define SUMS 0
#endif

typedef struct four_rows {
    rows a, b, c, d; /* of a vector each */
} four_rows;

/* `x` is at the four columns that the group is for. */
TARGET INLINE void four_add(four_rows *sums, const int8_t *weights, const int8_t *x, int stride, int vectors,
                            int is_far) {
    rows group = rows_load(weights);
    if (is_far) {
        FETCH_AHEAD(weights);
    }
    sums->a = rows_add(sums->a, group, four_of(x));
    if (vectors > 1) {
        sums->b = rows_add(sums->b, group, four_of(x + stride));
    }
    if (vectors > 2) {
        sums->c = rows_add(sums->c, group, four_of(x + 2 * stride));
    }
    if (vectors > 3) {
        sums->d = rows_add(sums->d, group, four_of(x + 3 * stride));
    }
}

/* As size_t, the number of a group is part of an address. */
TARGET INLINE const int8_t *columns_of(const int8_t *x, const uint16_t *kept, int is_sparse, int i) {
    return x + KERNEL_COLUMNS * (is_sparse ? (size_t)kept[i] : (size_t)i);
}

#if SUMS
TARGET INLINE four_rows four_none(void) {
    four_rows sums = {rows_none(), rows_none(), rows_none(), rows_none()};
    return sums;
}

TARGET INLINE four_rows four_sum(four_rows x, four_rows y) {
    four_rows sums = {rows_sum(x.a, y.a), rows_sum(x.b, y.b), rows_sum(x.c, y.c), rows_sum(x.d, y.d)};
    return sums;
}

/* Sums of as many groups as go four, or two, at a time; the number of those is `done`. */
TARGET INLINE four_rows apart(four_rows first, const int8_t *weights, const uint16_t *kept, int is_sparse, int count,
                              const int8_t *x, int stride, int vectors, int is_far, int *done) {
    int parts = 4 * vectors <= SUMS ? 4 : 2 * vectors <= SUMS ? 2 : 1, i = 0;
    four_rows second = four_none(), third = four_none(), fourth = four_none();
    for (; parts > 1 && i + parts <= count; i += parts, weights += parts * GROUP_BYTES) {
        four_add(&first, weights, columns_of(x, kept, is_sparse, i), stride, vectors, is_far);
        four_add(&second, weights + GROUP_BYTES, columns_of(x, kept, is_sparse, i + 1), stride, vectors, is_far);
        if (parts > 2) {
            four_add(&third, weights + 2 * GROUP_BYTES, columns_of(x, kept, is_sparse, i + 2), stride, vectors, is_far);
            four_add(&fourth, weights + 3 * GROUP_BYTES, columns_of(x, kept, is_sparse, i + 3), stride, vectors,
                     is_far);
        }
    }
    *done = i;
    return four_sum(four_sum(first, second), four_sum(third, fourth));
}
#endif

TARGET INLINE void block(const int8_t *weights, const int32_t *correction, const uint16_t *kept, int is_sparse,
                         int count, const int8_t *x, int stride, int32_t *to, int vectors, int is_far) {
    rows start = rows_start(correction);
    four_rows sums = {start, start, start, start};
    int i = 0;
#if SUMS
    sums = apart(sums, weights, kept, is_sparse, count, x, stride, vectors, is_far, &i);
#endif
    for (; i < count; i++) {
        four_add(&sums, weights + i * GROUP_BYTES, columns_of(x, kept, is_sparse, i), stride, vectors, is_far);
    }
    rows_store(sums.a, to);
    if (vectors > 1) {
        rows_store(sums.b, to + KERNEL_SUMS);
    }
    if (vectors > 2) {
        rows_store(sums.c, to + 2 * KERNEL_SUMS);
    }
    if (vectors > 3) {
        rows_store(sums.d, to + 3 * KERNEL_SUMS);
    }
}

#if SUMS >= 8
/* So many vectors need no more than one sum each, and read a group once. */
TARGET INLINE void eight_vectors(const int8_t *weights, const int32_t *correction, const uint16_t *kept, int is_sparse,
                                 int count, const int8_t *x, int stride, int32_t *to) {
    rows start = rows_start(correction);
    four_rows low = {start, start, start, start}, high = low;
    for (int i = 0; i < count; i++, weights += GROUP_BYTES) {
        const int8_t *columns = columns_of(x, kept, is_sparse, i);
        four_add(&low, weights, columns, stride, 4, 0);
        four_add(&high, weights, columns + 4 * stride, stride, 4, 0);
    }
    rows_store(low.a, to);
    rows_store(low.b, to + KERNEL_SUMS);
    rows_store(low.c, to + 2 * KERNEL_SUMS);
    rows_store(low.d, to + 3 * KERNEL_SUMS);
    rows_store(high.a, to + 4 * KERNEL_SUMS);
    rows_store(high.b, to + 5 * KERNEL_SUMS);
    rows_store(high.c, to + 6 * KERNEL_SUMS);
    rows_store(high.d, to + 7 * KERNEL_SUMS);
}
#endif

TARGET INLINE void some_vectors(const int8_t *weights, const int32_t *correction, const uint16_t *kept, int is_sparse,
                                int count, const int8_t *x, int stride, int vectors, int is_far, int32_t *sums) {
#if SUMS >= 8
    if (vectors == 8) {
        eight_vectors(weights, correction, kept, is_sparse, count, x, stride, sums);
        return;
    }
#endif
    if (vectors == 1 && is_far) {
        block(weights, correction, kept, is_sparse, count, x, stride, sums, 1, 1);
        return;
    }
    for (; vectors >= 4; vectors -= 4, x += 4 * stride, sums += 4 * KERNEL_SUMS) {
        block(weights, correction, kept, is_sparse, count, x, stride, sums, 4, 0);
    }
    switch (vectors) {
    case 1: block(weights, correction, kept, is_sparse, count, x, stride, sums, 1, 0); break;
    case 2: block(weights, correction, kept, is_sparse, count, x, stride, sums, 2, 0); break;
    case 3: block(weights, correction, kept, is_sparse, count, x, stride, sums, 3, 0); break;
    default: break;
    }
}

TARGET static void sparse(const int8_t *weights, const int32_t *correction, const int32_t *starts, const uint16_t *kept,
                          int blocks, const int8_t *x, int stride, int vectors, int is_far, int32_t *sums) {
    for (int b = 0; b < blocks; b++, correction += KERNEL_ROWS, sums += KERNEL_ROWS) {
        some_vectors(weights + (size_t)starts[b] * GROUP_BYTES, correction, kept + starts[b], 1,
                     starts[b + 1] - starts[b], x, stride, vectors, is_far, sums);
    }
}

TARGET static void dense(const int8_t *weights, const int32_t *correction, int blocks, int groups, const int8_t *x,
                         int stride, int vectors, int is_far, int32_t *sums) {
    for (int b = 0; b < blocks; b++, weights += groups * GROUP_BYTES, correction += KERNEL_ROWS, sums += KERNEL_ROWS) {
        some_vectors(weights, correction, NULL, 0, groups, x, stride, vectors, is_far, sums);
    }
}
