#include "json_output.h"

#include <stdio.h>
#include <stdlib.h>

#include "report.h"

ntap_status json_output_print(json_t *document, ntap_error *err) {
    char *text = document != NULL ? json_dumps(document, 0) : NULL;
    json_decref(document);
    if (text == NULL) {
        return report_no_memory(err);
    }
    puts(text);
    free(text);
    return NTAP_OK;
}
