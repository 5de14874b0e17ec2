//! WebSocket URIs: RFC 6455 sections 3 and 11.1.
#![cfg(feature = "handshake")]

use sansocket::{Uri, UriError};

/// What a URI must be taken apart into.
struct Parts {
    secure: bool,
    host: &'static str,
    port: u16,
    authority: &'static str,
    resource_name: &'static str,
}

#[track_caller]
fn assert_parts(text: &str, parts: &Parts) {
    let uri = Uri::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(uri.is_secure(), parts.secure, "{text:?}");
    assert_eq!(uri.host(), parts.host, "{text:?}");
    assert_eq!(uri.port(), parts.port, "{text:?}");
    assert_eq!(uri.authority(), parts.authority, "{text:?}");
    assert_eq!(uri.resource_name(), parts.resource_name, "{text:?}");
}

#[track_caller]
fn assert_resource_name(text: &str, resource_name: &str) {
    let uri = Uri::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(uri.resource_name(), resource_name, "{text:?}");
}

#[track_caller]
fn assert_refused(text: &str, error: UriError) {
    assert_eq!(Uri::parse(text), Err(error), "{text:?}");
}

/// 6455-3-01, 6455-4.1-03: the port may be absent, 80 and 443 are the defaults; all parts come out as they went in.
#[test]
fn takes_uris_apart() {
    let parts = Parts {
        secure: false,
        host: "example.com",
        port: 80,
        authority: "example.com",
        resource_name: "/chat?a=b",
    };
    assert_parts("ws://example.com/chat?a=b", &parts);
    assert_parts("ws://example.com:80/chat?a=b", &parts);
    assert_parts("ws://example.com:00080/chat?a=b", &parts);

    let parts = Parts { secure: true, port: 443, ..parts };
    assert_parts("wss://example.com/chat?a=b", &parts);
    assert_parts("wss://example.com:443/chat?a=b", &parts);
    assert_parts("wss://Example.COM/chat?a=b", &parts);

    let parts = Parts { port: 80, authority: "example.com:80", ..parts };
    assert_parts("wss://example.com:80/chat?a=b", &parts);
    let parts = Parts { secure: false, port: 65535, authority: "example.com:65535", ..parts };
    assert_parts("ws://example.com:65535/chat?a=b", &parts);

    let parts = Parts {
        secure: false,
        host: "127.0.0.1",
        port: 9001,
        authority: "127.0.0.1:9001",
        resource_name: "/",
    };
    assert_parts("ws://127.0.0.1:9001", &parts);
    let parts = Parts { host: "::1", authority: "[::1]:9001", ..parts };
    assert_parts("ws://[::1]:9001/", &parts);
    let parts = Parts { host: "2001:db8::a", port: 80, authority: "[2001:db8::a]", ..parts };
    assert_parts("ws://[2001:DB8::A]", &parts);
}

/// 6455-3-02: the scheme says whether the URI is secure, compared case-insensitively.
#[test]
fn wss_is_secure_in_any_case() {
    for text in ["wss://h", "WSS://h", "Wss://h"] {
        assert!(Uri::parse(text).unwrap().is_secure(), "{text}");
    }
    for text in ["ws://h", "WS://h", "wS://h"] {
        assert!(!Uri::parse(text).unwrap().is_secure(), "{text}");
    }
}

/// 6455-3-03: the resource name is the path, or `/`, and the query if it is not empty.
#[test]
fn resource_name_is_path_and_query() {
    assert_resource_name("ws://h", "/");
    assert_resource_name("ws://h/", "/");
    assert_resource_name("ws://h?", "/");
    assert_resource_name("ws://h/?", "/");
    assert_resource_name("ws://h?a", "/?a");
    assert_resource_name("ws://h/a?", "/a");
    assert_resource_name("ws://h/a/b;c=d?e=f&g=/?:@", "/a/b;c=d?e=f&g=/?:@");
    assert_resource_name("ws://h//a/../b", "//a/../b");
}

/// 6455-3-04, 6455-3-05: a `#` is refused wherever it is, an empty fragment too; `%23` is kept as it is.
#[test]
fn has_no_fragment() {
    for text in ["ws://h/#x", "ws://h#", "ws://h/?a#b", "ws://h/a#", "wss://h#/"] {
        assert_refused(text, UriError::Fragment);
    }
    assert_resource_name("ws://h/%23a?%23", "/%23a?%23");
}

/// 6455-4.1-04: an invalid component is an error before anything can be sent: no request is built without a [`Uri`].
#[test]
fn refuses_what_is_not_a_websocket_uri() {
    for text in [
        "",
        "h",
        "//h/",
        "/chat",
        "ws:",
        "ws:h",
        "ws:/h",
        "http://h",
        "https://h",
        " ws://h",
        "wsss://h",
        "://h",
    ] {
        assert_refused(text, UriError::UnsupportedScheme);
    }
    for text in ["ws://", "ws:///", "ws:///chat", "ws://?q", "ws://:80/"] {
        assert_refused(text, UriError::MissingHost);
    }
    for text in ["ws://user@h", "ws://user:password@h/", "ws://@h", "ws://a@b@h"] {
        assert_refused(text, UriError::UserInfo);
    }
    for text in [
        "ws://a b",
        "ws://a%62",
        "ws://a\\b/",
        "ws://a|b",
        "ws://<h>",
        "ws://fe80::1/",
        "ws://[::1",
        "ws://[::1]x",
        "ws://[]",
        "ws://[h]",
        "ws://[1.2.3.4]",
        "ws://[fe80::1%25eth0]",
        "ws://[v1.x]",
        "ws://[::1]]",
    ] {
        let error = Uri::parse(text).unwrap_err();
        assert!(matches!(error, UriError::InvalidHost | UriError::InvalidPort), "{text:?}: {error}");
    }
    for text in [
        "ws://h:",
        "ws://h:/",
        "ws://h:0",
        "ws://h:65536",
        "ws://h:+1",
        "ws://h:-1",
        "ws://h:8a",
        "ws://h:1:2",
        "ws://h:99999999999999999999",
        "ws://[::1]:",
        "ws://h:\u{661}",
    ] {
        assert_refused(text, UriError::InvalidPort);
    }
    for text in ["ws://h/%", "ws://h/%2", "ws://h/%zz", "ws://h/?100%", "ws://h/%2?0"] {
        assert_refused(text, UriError::InvalidPercentEncoding);
    }
}

/// Line ends cannot get into a request line or a `Host` header.
#[test]
fn refuses_control_characters() {
    for text in [
        "ws://h/\r\nX: y",
        "ws://h\r\n/",
        "ws://h/\n",
        "ws://h/?a\0",
        "ws://h/\u{7F}",
        "\tws://h",
        "ws://h/\u{1b}",
    ] {
        assert_refused(text, UriError::ControlCharacter);
    }
}

/// 6455-11.1.1-01, 6455-11.1.2-01: a host that is not ASCII is never sent; the `xn--` form is taken.
#[test]
fn hosts_are_ascii() {
    for scheme in ["ws", "wss"] {
        for host in ["b\u{fc}cher.example", "\u{212a}elvin", "\u{4f8b}\u{3048}.jp:80"] {
            assert_refused(&format!("{scheme}://{host}/"), UriError::NonAsciiHost);
        }
        let uri = Uri::parse(&format!("{scheme}://xn--bcher-kva.example/")).unwrap();
        assert_eq!(uri.host(), "xn--bcher-kva.example");
    }
}

/// 6455-11.1.1-02, 6455-11.1.2-02: excluded characters in path and query are percent-encoded as UTF-8, once.
#[test]
fn path_and_query_are_percent_encoded() {
    for scheme in ["ws", "wss"] {
        let assert_encoded = |from: &str, to: &str| assert_resource_name(&format!("{scheme}://h{from}"), to);
        assert_encoded("/caf\u{e9}?\u{20ac}=\u{1f600}", "/caf%C3%A9?%E2%82%AC=%F0%9F%98%80");
        assert_encoded("/a b?c d", "/a%20b?c%20d");
        assert_encoded(
            "/\"<>\\^`{|}[]?\"<>\\^`{|}[]",
            "/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D?%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D",
        );
        assert_encoded("/a%20b%c3%A9", "/a%20b%c3%A9");
        assert_encoded("/-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?", "/-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?");
        // Every character ends up as ASCII that needs no encoding.
        let text: String =
            (' '..='\u{2ff}').filter(|c| !c.is_ascii_control() && !"#%".contains(*c)).collect();
        let uri = Uri::parse(&format!("{scheme}://h/{text}")).unwrap();
        assert!(uri.resource_name().bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
    }
}

/// What is displayed is the same URI.
#[test]
fn displays_as_it_parses() {
    for (text, displayed) in [
        ("WSS://Example.com:443", "wss://example.com/"),
        ("ws://[::1]:80/a b?", "ws://[::1]/a%20b"),
        ("ws://h:443/?q", "ws://h:443/?q"),
    ] {
        let uri: Uri = text.parse().unwrap();
        assert_eq!(uri.to_string(), displayed);
        assert_eq!(displayed.parse(), Ok(uri));
    }
}

/// What a reference leads to from `base`, or why it leads nowhere.
#[track_caller]
fn assert_resolved(base: &str, reference: &str, expected: Result<&str, UriError>) {
    let resolved = Uri::parse(base).unwrap().resolve(reference);
    assert_eq!(resolved.map(|uri| uri.to_string()), expected.map(str::to_owned), "{reference:?}");
}

/// The examples of RFC 3986 section 5.4, in the order that they have there, with `ws` for `http` and without fragments.
#[test]
fn references_are_resolved() {
    for (reference, expected) in [
        ("g", "ws://a/b/c/g"),
        ("./g", "ws://a/b/c/g"),
        ("g/", "ws://a/b/c/g/"),
        ("/g", "ws://a/g"),
        ("//g", "ws://g/"),
        ("?y", "ws://a/b/c/d;p?y"),
        ("g?y", "ws://a/b/c/g?y"),
        ("#s", "ws://a/b/c/d;p?q"),
        ("g#s", "ws://a/b/c/g"),
        ("g?y#s", "ws://a/b/c/g?y"),
        (";x", "ws://a/b/c/;x"),
        ("g;x", "ws://a/b/c/g;x"),
        ("g;x?y#s", "ws://a/b/c/g;x?y"),
        ("", "ws://a/b/c/d;p?q"),
        (".", "ws://a/b/c/"),
        ("./", "ws://a/b/c/"),
        ("..", "ws://a/b/"),
        ("../", "ws://a/b/"),
        ("../g", "ws://a/b/g"),
        ("../..", "ws://a/"),
        ("../../", "ws://a/"),
        ("../../g", "ws://a/g"),
        ("../../../g", "ws://a/g"),
        ("../../../../g", "ws://a/g"),
        ("/./g", "ws://a/g"),
        ("/../g", "ws://a/g"),
        ("g.", "ws://a/b/c/g."),
        (".g", "ws://a/b/c/.g"),
        ("g..", "ws://a/b/c/g.."),
        ("..g", "ws://a/b/c/..g"),
        ("./../g", "ws://a/b/g"),
        ("./g/.", "ws://a/b/c/g/"),
        ("g/./h", "ws://a/b/c/g/h"),
        ("g/../h", "ws://a/b/c/h"),
        ("g;x=1/./y", "ws://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "ws://a/b/c/y"),
        ("g?y/./x", "ws://a/b/c/g?y/./x"),
        ("g?y/../x", "ws://a/b/c/g?y/../x"),
        ("g#s/./x", "ws://a/b/c/g"),
        ("g#s/../x", "ws://a/b/c/g"),
    ] {
        assert_resolved("ws://a/b/c/d;p?q", reference, Ok(expected));
    }
    assert_resolved("ws://a/b/c/d;p?q", "g:h", Err(UriError::UnsupportedScheme));
    assert_resolved("ws://a/b/c/d;p?q", "http:g", Err(UriError::MissingHost));
}

/// A whole URI, with the schemes of HTTP for those of WebSockets; a host without a scheme keeps ours, and whatever else has no
/// host keeps our host and port.
#[test]
fn references_to_other_places() {
    for (reference, expected) in [
        ("ws://b:80/x", "ws://b/x"),
        ("HTTP://B/../x?y=/../z", "ws://b/x?y=/../z"),
        ("wss://b", "wss://b/"),
        ("Https://b:443?y#s", "wss://b/?y"),
        ("http://b:443", "ws://b:443/"),
        ("//b:9/x/..", "wss://b:9/"),
        ("//[::1]?y", "wss://[::1]/?y"),
        ("/x", "wss://a:9/x"),
        ("?", "wss://a:9/p"),
        ("?y:z", "wss://a:9/p?y:z"),
        // None of these begins with a scheme, or a host.
        (":x", "wss://a:9/:x"),
        ("1x:y", "wss://a:9/1x:y"),
        ("./x:y", "wss://a:9/x:y"),
        ("\\\\b\\x", "wss://a:9/%5C%5Cb%5Cx"),
        ("/\\b/x", "wss://a:9/%5Cb/x"),
        ("/.//b/x", "wss://a:9//b/x"),
        ("..//b/x", "wss://a:9//b/x"),
        ("caf\u{e9} 1", "wss://a:9/caf%C3%A9%201"),
    ] {
        assert_resolved("wss://a:9/p?q", reference, Ok(expected));
    }
}

#[test]
fn references_that_lead_nowhere() {
    for (reference, error) in [
        ("javascript:alert(1)", UriError::UnsupportedScheme),
        ("ftp://b/", UriError::UnsupportedScheme),
        ("localhost:9/x", UriError::UnsupportedScheme),
        ("wss:x", UriError::MissingHost),
        ("https:/x", UriError::MissingHost),
        ("//", UriError::MissingHost),
        ("///x", UriError::MissingHost),
        ("https://", UriError::MissingHost),
        ("//user@b/", UriError::UserInfo),
        ("https://user:password@b/", UriError::UserInfo),
        ("//b:0/", UriError::InvalidPort),
        ("//b:x/", UriError::InvalidPort),
        ("//b c/", UriError::InvalidHost),
        ("//b\\c/", UriError::InvalidHost),
        ("//\u{e9}/", UriError::NonAsciiHost),
        ("/%2", UriError::InvalidPercentEncoding),
        ("/x\r\nX: y", UriError::ControlCharacter),
        ("/x\ty", UriError::ControlCharacter),
        ("/x#\0", UriError::ControlCharacter),
    ] {
        assert_resolved("wss://a:9/p?q", reference, Err(error));
    }
}

/// However long it is, the work is linear in its length.
#[test]
fn a_long_reference() {
    let (down, up) = ("x/".repeat(100_000), "../".repeat(200_000));
    assert_resolved("ws://a/", &format!("{down}{up}y"), Ok("ws://a/y"));
    assert_resolved("ws://a/", &"/".repeat(100_000), Err(UriError::MissingHost));
}

/// Every error is a sentence of its own.
#[test]
fn errors_say_what_to_do() {
    let errors = [
        "ws://h/#",
        "ws://u@h",
        "ws://\u{e9}",
        "ws://h:0",
        "ws://a b",
        "ws://",
        "h",
        "ws://h/%",
        "ws://h/\n",
    ];
    let mut sentences: Vec<String> =
        errors.iter().map(|text| Uri::parse(text).unwrap_err().to_string()).collect();
    assert!(sentences.iter().all(|sentence| sentence.len() > 20));
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), errors.len());
}
