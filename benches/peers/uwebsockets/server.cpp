// uWebSockets: an echo server, or with --broadcast one that sends each message to all clients. It corks by itself:
// answers to messages that came together are written together.
#include <iostream>
#include <string>
#include <string_view>

#include "App.h"

struct Client {};
using Socket = uWS::WebSocket<false, true, Client>;

int main(int count, char **arguments) {
    std::string addr;
    bool deflate = false, broadcast = false;
    for (int at = 1; at < count; at++) {
        std::string_view argument = arguments[at];
        deflate |= argument == "--deflate";
        broadcast |= argument == "--broadcast";
        if (argument == "--addr" && at + 1 < count) {
            addr = arguments[++at];
        }
    }
    const size_t colon = addr.rfind(':');
    if (colon == std::string::npos) {
        std::cerr << "usage: server --addr HOST:PORT [--deflate] [--broadcast]\n";
        return 1;
    }

    uWS::App app;
    app.ws<Client>("/*", {
        .compression = deflate ? uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR | uWS::DEDICATED_DECOMPRESSOR)
                               : uWS::DISABLED,
        .maxPayloadLength = 128 << 20,
        .idleTimeout = 0,
        .maxBackpressure = 256 << 20,
        .sendPingsAutomatically = false,
        .open = [broadcast](Socket *socket) {
            if (broadcast) {
                socket->subscribe("all");
            }
        },
        .message = [&app, broadcast](Socket *socket, std::string_view message, uWS::OpCode code) {
            if (broadcast) {
                app.publish("all", message, code, false);
            } else {
                socket->send(message, code, message.size() >= 256);
            }
        },
    });
    app.listen(addr.substr(0, colon), std::stoi(addr.substr(colon + 1)), [](us_listen_socket_t *listening) {
        if (!listening) {
            std::cerr << "cannot listen\n";
        }
    });
    app.run();
}
