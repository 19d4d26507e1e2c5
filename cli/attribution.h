/** One attribution, made ready: the model, cut behind the layer, and its inputs. */
#ifndef CLI_ATTRIBUTION_H
#define CLI_ATTRIBUTION_H

#include "attribution_options.h"
#include "inputs.h"

struct attribution {
    const struct attribution_options *options;
    const struct inputs *inputs;
    const ntap_tensor **tensors; /**< the inputs' */
    ntap_module *module;
    ntap_neuron_gradient *gradient;
};

/** Sets the number of threads and reads the inputs. Reports what fails; returns an exit code. */
int attribution_read_inputs(const struct attribution_options *options, struct inputs *inputs);

/** Loads the model and prepares the gradients of its layer. Options and inputs are lent. */
ntap_status attribution_prepare(const struct attribution_options *options,
                                const struct inputs *inputs, struct attribution *attribution,
                                ntap_error *err);

/**
 * Computes the gradients.
 * @param report     what the call did; NULL for none
 * @param gradients  room for one for each input
 */
ntap_status attribution_run(const struct attribution *attribution, ntap_progress_callback progress,
                            void *progress_context, ntap_attribute_report *report,
                            ntap_tensor **gradients, ntap_error *err);

void attribution_free(struct attribution *attribution);

#endif
