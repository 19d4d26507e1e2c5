// A model that is C++ itself tells of its layers through a View.
//
//   nn_module
#include <neurotap/torch.hpp>

#include <torch/torch.h>

#include <iostream>

struct NetImpl : torch::nn::Module {
    NetImpl() {
        register_module("fc1", fc1);
        register_module("fc2", fc2);
    }
    at::Tensor forward(at::Tensor x, neurotap::View view = {}) {
        x = torch::relu(view.call("fc1", fc1, x)); // instead of fc1->forward(x)
        return view.call("fc2", fc2, x);
    }
    torch::nn::Linear fc1{8, 16}, fc2{16, 3};
};
TORCH_MODULE(Net);

int main() {
    Net net;
    const at::Tensor x = torch::randn({4, 8});
    try {
        const neurotap::Module module = neurotap::module(net.ptr());
        const neurotap::NeuronGradient gradient(module, "fc1");
        const at::Tensor grad = gradient.attribute({x}, "5")[0];
        std::cout << "a row of the weights: " << grad.equal(net->fc1->weight[5].expand({4, 8}))
                  << '\n';
        const neurotap::Hook hook = neurotap::add_forward_hook(
            module, "fc2", [](const neurotap::HookCall &call) -> std::optional<c10::IValue> {
                return call.output.toTensor() * 2;
            });
        const at::Tensor twice = neurotap::forward(module, {x}).toTensor();
        std::cout << "a hook's doing: " << twice.equal(net->forward(x) * 2) << '\n';
        gradient.attribute({x}, "16");
    } catch (const neurotap::Error &error) {
        std::cout << ntap_status_name(error.status()) << ": " << error.what() << '\n';
    }
    return 0;
}
