/* Memory that the program has already becomes a tensor, and goes on to another library, without a
 * copy.
 *
 *   share_memory
 */
#include <neurotap/neurotap.h>

#include <stdio.h>
#include <stdlib.h>

/* Called once, when the last reference to the memory is gone. */
static void release(void *data, void *context) {
    (void)context;
    free(data);
    printf("released\n");
}

/* The columns of a row-major matrix [2, 3] as the rows of a tensor [3, 2]. */
static ntap_status wrap_transposed(float *matrix, ntap_tensor **tensor, ntap_error *err) {
    const int64_t sizes[] = {3, 2};
    const int64_t strides[] = {1, 3}; /* in elements */
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    return ntap_tensor_from_blob(matrix, 2, sizes, strides, NTAP_DTYPE_FLOAT32, cpu, release, NULL,
                                 tensor, err);
}

int main(void) {
    ntap_error err;
    struct DLManagedTensorVersioned *lent = NULL;
    ntap_tensor *tensor = NULL;
    ntap_tensor *back = NULL;
    float *matrix = calloc(6, sizeof *matrix);
    if (matrix == NULL || wrap_transposed(matrix, &tensor, &err) != NTAP_OK) {
        free(matrix); /* a tensor that was not made took nothing over */
        return 1;
    }
    /* Here another library takes it over: NumPy, CuPy, JAX, ... In this program it comes back. */
    int failed = ntap_tensor_to_dlpack_versioned(tensor, &lent, &err) != NTAP_OK ||
                 ntap_tensor_from_dlpack_versioned(lent, &back, &err) != NTAP_OK;
    if (failed)
        fprintf(stderr, "%s\n", err.message);
    ntap_tensor_free(tensor);
    if (!failed) {
        matrix[5] = 7; /* row 1, column 2 */
        printf("row 2, column 1: %g\n",
               (double)((const float *)ntap_tensor_data(
                   back))[2 * ntap_tensor_stride(back, 0) + 1 * ntap_tensor_stride(back, 1)]);
    }
    ntap_tensor_free(back);
    return failed;
}
