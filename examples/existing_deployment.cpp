/* A program that runs a TorchScript model with libtorch, as many do, and what it takes to see
 * inside: the lines between "neurotap" and "end of neurotap", and the #include.
 *
 *   existing_deployment MODEL IMAGE.pgm LAYER NEURON
 *   existing_deployment fashion_cnn_scripted.pt images/ankle-boot.pgm classifier 9
 *
 * Build: with CMake, target_link_libraries(... neurotap::neurotap ${TORCH_LIBRARIES})
 */
#include <neurotap/torch.hpp> // neurotap

#include <torch/script.h>

#include <fstream>
#include <iostream>

namespace {

const char *const kClasses[] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};

// What a camera writes: 8-bit gray, "P5 width height 255" and the pixels.
at::Tensor read_image(const char *path) {
    std::ifstream file(path, std::ios::binary);
    std::string format;
    int64_t width = 0, height = 0, white = 0;
    file >> format >> width >> height >> white;
    file.get();
    if (!file || format != "P5" || width < 1 || height < 1 || white != 255)
        throw std::runtime_error(std::string(path) + ": not an 8-bit PGM image");
    at::Tensor pixels = at::empty({1, 1, height, width}, at::kByte);
    if (!file.read(static_cast<char *>(pixels.data_ptr()), pixels.numel()))
        throw std::runtime_error(std::string(path) + ": too short");
    return pixels;
}

at::Tensor preprocess(const at::Tensor &pixels) {
    return at::upsample_bilinear2d(pixels.to(at::kFloat) / 255, {28, 28}, /*align_corners=*/false);
}

void run(char **argv) {
    torch::jit::Module model = torch::jit::load(argv[1]);
    model.eval();
    const at::NoGradGuard no_grad;
    const at::Tensor input = preprocess(read_image(argv[2]));
    const at::Tensor scores = model.forward({input}).toTensor().softmax(1)[0];
    const auto best = scores.argmax().item<int64_t>();
    std::cout << kClasses[best] << " (" << 100 * scores[best].item<float>() << " %)\n";

    // ---- neurotap: which pixels raise (+) or lower (-) the neuron? ----
    const neurotap::NeuronGradient gradient(neurotap::module(model), argv[3]);
    const at::Tensor pixels = gradient.attribute({input}, argv[4])[0][0][0];
    const float strong = pixels.abs().max().item<float>() / 4;
    for (int64_t y = 0; y < pixels.size(0); ++y) {
        for (int64_t x = 0; x < pixels.size(1); ++x) {
            const float value = pixels[y][x].item<float>();
            std::cout << (value > strong ? '+' : value < -strong ? '-' : '.');
        }
        std::cout << '\n';
    }
    // ---- end of neurotap ----
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        std::cerr << "usage: " << argv[0] << " MODEL IMAGE.pgm LAYER NEURON\n";
        return 2;
    }
    try {
        run(argv);
    } catch (const std::exception &error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 1;
    }
    return 0;
}
