// consumer MODEL RATE_HZ IN OUT: enhance raw 32-bit floats, all at once and with a block.

#include <percepnet.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using Model = std::unique_ptr<percepnet_model, decltype(&percepnet_model_destroy)>;
using Stream = std::unique_ptr<percepnet_stream, decltype(&percepnet_stream_destroy)>;
using Block = std::unique_ptr<percepnet_block, decltype(&percepnet_block_destroy)>;

static std::vector<char> read(const char *path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error(std::string(path) + ": cannot be opened");
    }
    return std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

static Model load(const char *path) {
    const std::vector<char> bytes = read(path);
    percepnet_error error;
    Model model(percepnet_model_load(bytes.data(), bytes.size(), &error), percepnet_model_destroy);
    if (!model) {
        throw std::runtime_error(error.message);
    }
    return model;
}

static Stream create(const Model &model, std::int32_t rate_hz) {
    percepnet_error error;
    percepnet_options options;
    percepnet_options_init(&options);
    options.sample_rate_hz = rate_hz;
    Stream stream(percepnet_stream_create(model.get(), &options, &error), percepnet_stream_destroy);
    if (!stream) {
        throw std::runtime_error(error.message);
    }
    return stream;
}

static std::vector<float> enhance(const Model &model, std::int32_t rate_hz, const std::vector<char> &raw) {
    const Stream stream = create(model, rate_hz);
    const Block block(percepnet_block_create(model.get(), 1, 32, nullptr), percepnet_block_destroy);
    std::vector<float> x(raw.size() / sizeof(float));
    std::copy(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(x.size() * sizeof(float)),
              reinterpret_cast<char *>(x.data()));
    const std::int64_t samples = static_cast<std::int64_t>(x.size());
    std::vector<float> y(x.size() + static_cast<std::size_t>(percepnet_stream_latency(stream.get())));
    const std::int64_t capacity = static_cast<std::int64_t>(y.size());
    const std::int64_t ready =
        percepnet_stream_process(stream.get(), block.get(), x.data(), samples, samples, y.data(), capacity);
    if (ready < 0 || percepnet_stream_flush(stream.get(), y.data() + ready, capacity - ready) != capacity - ready) {
        throw std::runtime_error("refused");
    }
    return y;
}

int main(int argc, char **argv) {
    try {
        if (argc != 5 || percepnet_abi() != PERCEPNET_ABI) {
            throw std::runtime_error("usage: consumer MODEL RATE_HZ IN OUT, with the library of this header");
        }
        const Model model = load(argv[1]);
        const std::vector<float> y = enhance(model, std::atoi(argv[2]), read(argv[3]));
        std::ofstream out(argv[4], std::ios::binary);
        out.write(reinterpret_cast<const char *>(y.data()), static_cast<std::streamsize>(y.size() * sizeof(float)));
        return out.flush() ? 0 : 2;
    } catch (const std::exception &error) {
        std::cerr << "consumer: " << error.what() << "\n";
        return 2;
    }
}
