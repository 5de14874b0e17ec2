// uWebSockets: clients of /news subscribe to a topic, and one of /control has the server publish to it.
#include <iostream>
#include <string>
#include <string_view>

#include "App.h"

struct Client {};
using Socket = uWS::WebSocket<false, true, Client>;

int main(int count, char **arguments) {
    std::string addr;
    for (int at = 1; at + 1 < count; at++) {
        if (std::string_view(arguments[at]) == "--addr") {
            addr = arguments[at + 1];
        }
    }
    const size_t colon = addr.rfind(':');
    if (colon == std::string::npos) {
        std::cerr << "usage: publish --addr HOST:PORT\n";
        return 1;
    }

    const std::string message(125, 'x');
    uWS::App app;
    app.ws<Client>("/news", {
        .compression = uWS::DISABLED,
        .idleTimeout = 0,
        .sendPingsAutomatically = false,
        .open = [](Socket *socket) { socket->subscribe("news"); },
    });
    app.ws<Client>("/control", {
        .compression = uWS::DISABLED,
        .idleTimeout = 0,
        .sendPingsAutomatically = false,
        .message = [&app, &message](Socket *, std::string_view times, uWS::OpCode) {
            for (int left = std::stoi(std::string(times)); left > 0; left--) {
                app.publish("news", message, uWS::OpCode::TEXT, false);
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
