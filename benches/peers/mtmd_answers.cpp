// Answers questions about pictures with llama.cpp's multimodal library, in our prompt layout.
//
// The library's own tools cut a picture of one tile into that tile and an overview of the same pixels, and
// the demo model was trained with one of them. So this program asks the library for the overview's
// embeddings alone and puts them where `longtrainer` puts its own: text before the picture, the picture,
// text after it, each text cut into tokens by itself. Everything that computes is llama.cpp's.
//
// Build it beside llama.cpp (see vision_answers.py):
//   mtmd_answers TEXT.gguf MMPROJ.gguf ADAPTER.gguf BEFORE AFTER < lines of "PICTURE<tab>QUESTION"
// prints one answer a line; `AFTER` follows the question.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "llama.h"
#include "mtmd-helper.h"
#include "mtmd.h"

namespace {

constexpr int kThreads = 2;
constexpr int kMostTokens = 8;

template <typename T, void (*Free)(T *)>
struct Freed {
    void operator()(T * object) const { Free(object); }
};
using Model = std::unique_ptr<llama_model, Freed<llama_model, llama_model_free>>;
using Context = std::unique_ptr<llama_context, Freed<llama_context, llama_free>>;
using Eyes = std::unique_ptr<mtmd_context, Freed<mtmd_context, mtmd_free>>;
using Bitmap = std::unique_ptr<mtmd_bitmap, Freed<mtmd_bitmap, mtmd_bitmap_free>>;
using Chunks = std::unique_ptr<mtmd_input_chunks, Freed<mtmd_input_chunks, mtmd_input_chunks_free>>;

void require(bool holds, const std::string & otherwise) {
    if (!holds) {
        throw std::runtime_error(otherwise);
    }
}

class Answerer {
  public:
    Answerer(const char * text, const char * mmproj, const char * adapter)
        : model_(llama_model_load_from_file(text, model_params())) {
        require(model_ != nullptr, std::string("cannot load ") + text);
        auto params = llama_context_default_params();
        params.n_ctx = 2048;
        params.n_threads = params.n_threads_batch = kThreads;
        context_.reset(llama_init_from_model(model_.get(), params));
        require(context_ != nullptr, "cannot make a context");
        auto * lora = llama_adapter_lora_init(model_.get(), adapter);
        require(lora != nullptr, std::string("cannot load ") + adapter);
        float scale = 1.0f;
        require(llama_set_adapters_lora(context_.get(), &lora, 1, &scale) == 0, "cannot set the adapter");
        auto eyes = mtmd_context_params_default();
        eyes.use_gpu = false;
        eyes.n_threads = kThreads;
        eyes.print_timings = false;
        eyes_.reset(mtmd_init_from_file(mmproj, model_.get(), eyes));
        require(eyes_ != nullptr, std::string("cannot load ") + mmproj);
    }

    std::string answer(const std::string & picture, const std::string & before, const std::string & after) {
        llama_memory_clear(llama_get_memory(context_.get()), true);
        llama_pos past = 0;
        read(before, past);
        look(picture, past);
        read(after, past);
        return speak(past);
    }

  private:
    static llama_model_params model_params() {
        auto params = llama_model_default_params();
        params.n_gpu_layers = 0;
        return params;
    }

    const llama_vocab * vocabulary() const { return llama_model_get_vocab(model_.get()); }

    void read(const std::string & text, llama_pos & past) {
        std::vector<llama_token> tokens(text.size() + 8);
        const int count = llama_tokenize(vocabulary(), text.data(), int(text.size()), tokens.data(),
                                         int(tokens.size()), /*add_special=*/false, /*parse_special=*/true);
        require(count > 0, "cannot cut the text into tokens");
        tokens.resize(count);
        decode(tokens, past);
    }

    void decode(std::vector<llama_token> & tokens, llama_pos & past) {
        auto batch = llama_batch_get_one(tokens.data(), int(tokens.size()));
        require(llama_decode(context_.get(), batch) == 0, "cannot read the text");
        past += llama_pos(tokens.size());
    }

    void look(const std::string & path, llama_pos & past) {
        auto loaded = mtmd_helper_bitmap_init_from_file(eyes_.get(), path.c_str(), false,
                                                        mtmd_helper_init_opt_default());
        Bitmap bitmap(loaded.bitmap);
        require(bitmap != nullptr, "cannot read " + path);
        Chunks chunks(mtmd_input_chunks_init());
        const std::string marker = mtmd_default_marker();
        mtmd_input_text text{marker.c_str(), marker.size(), false, true};
        const mtmd_bitmap * bitmaps[] = {bitmap.get()};
        require(mtmd_tokenize(eyes_.get(), chunks.get(), &text, bitmaps, 1) == 0, "cannot cut " + path);
        const mtmd_input_chunk * overview = nullptr;
        for (size_t at = 0; at < mtmd_input_chunks_size(chunks.get()); at++) {
            const auto * chunk = mtmd_input_chunks_get(chunks.get(), at);
            if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_IMAGE) {
                overview = chunk;
            }
        }
        require(overview != nullptr, path + " makes no tokens");
        llama_pos next = past;
        require(mtmd_helper_eval_chunk_single(eyes_.get(), context_.get(), overview, past, 0, 512, false, &next) == 0,
                "cannot look at " + path);
        past = next;
    }

    std::string speak(llama_pos & past) {
        std::string said;
        for (int count = 0; count < kMostTokens; count++) {
            const float * logits = llama_get_logits_ith(context_.get(), -1);
            const int size = llama_vocab_n_tokens(vocabulary());
            llama_token token = llama_token(std::max_element(logits, logits + size) - logits);
            if (llama_vocab_is_eog(vocabulary(), token)) {
                break;
            }
            char piece[256];
            const int length = llama_token_to_piece(vocabulary(), token, piece, sizeof piece, 0, true);
            said.append(piece, size_t(std::max(length, 0)));
            std::vector<llama_token> one{token};
            decode(one, past);
        }
        return said;
    }

    Model model_;
    Context context_;
    Eyes eyes_;
};

}  // namespace

int main(int count, char ** arguments) try {
    require(count == 6, "usage: mtmd_answers TEXT MMPROJ ADAPTER BEFORE AFTER < questions");
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    mtmd_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    Answerer answerer(arguments[1], arguments[2], arguments[3]);
    for (std::string line; std::getline(std::cin, line);) {
        const size_t tab = line.find('\t');
        require(tab != std::string::npos, "a line without a tab: " + line);
        std::cout << answerer.answer(line.substr(0, tab), arguments[4], line.substr(tab + 1) + arguments[5]) << '\n';
    }
    return 0;
} catch (const std::exception & error) {
    std::fprintf(stderr, "mtmd_answers: %s\n", error.what());
    return 1;
}
