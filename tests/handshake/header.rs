//! Header names and values: case, lists, extensions (RFC 6455 sections 4.3 and 9.1, RFC 9110 section 5.6).
#![cfg(feature = "handshake")]

use sansocket::Uri;
use sansocket::handshake::{
    Accept, BuildError, ClientRequest, Extension, Headers, HttpRequest, InvalidList, Limits, ReceivedRequest,
    ServerHandshake,
};

/// The headers of a plain HTTP request with these lines.
fn headers(lines: &str) -> Headers {
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    match ServerHandshake::new(Limits::default()).receive(request.as_bytes()) {
        Ok(Some(ReceivedRequest::Http(request))) => request.headers().clone(),
        other => panic!("{lines:?}: {other:?}"),
    }
}

fn tokens(lines: &str) -> Result<Vec<String>, InvalidList> {
    headers(lines).tokens("X").map(|token| token.map(str::to_owned)).collect()
}

/// The list, each extension as it is displayed: values without quotes.
fn extensions(lines: &[&str]) -> Result<Vec<String>, InvalidList> {
    Ok(Extension::parse_list(lines)?.iter().map(ToString::to_string).collect())
}

/// 6455-4.1-47: names are found in any case; values keep theirs.
#[test]
fn header_names_are_case_insensitive() {
    let headers = headers("SEC-websocket-PROTOCOL: AbC\r\n");
    for name in ["Sec-WebSocket-Protocol", "sec-websocket-protocol", "SEC-WEBSOCKET-PROTOCOL"] {
        assert_eq!(headers.get(name), Some("AbC"));
        assert!(headers.contains(name));
    }
    assert_eq!(headers.get("Sec-WebSocket-Protoco"), None);
}

/// 6455-2.1-01: only A-Z and a-z have two cases: U+017F and U+212A are not letters of any header.
#[test]
fn case_is_ascii_case() {
    // Both fold to ASCII letters in Unicode: "s" and "k".
    let headers = headers("Upgrade: h2c\r\nKey: 1\r\n");
    assert_eq!(headers.get("\u{212a}ey"), None);
    let headers = self::headers("X: web\u{17f}ocket\r\n");
    assert_eq!(headers.get("X"), Some("web\u{17f}ocket"));
    assert_eq!(headers.tokens("X").next(), Some(Err(InvalidList)));
}

#[test]
fn headers_keep_their_lines() {
    let headers = headers("A: 1\r\nb:2\r\na:  \t3 \t \r\nC:\r\nD: \r\nE: x: y , z\r\n");
    assert_eq!(headers.len(), 7);
    assert!(!headers.is_empty());
    let all: Vec<(&str, &[u8])> = headers.iter().collect();
    let expected: [(&str, &[u8]); 7] =
        [("Host", b"h"), ("A", b"1"), ("b", b"2"), ("a", b"3"), ("C", b""), ("D", b""), ("E", b"x: y , z")];
    assert_eq!(all, expected);
    assert_eq!(headers.get_all("A").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(headers.get("A"), Some("1"));
    assert_eq!(headers.get("d"), Some(""));
    assert_eq!(headers.get("F"), None);
}

#[test]
fn values_may_be_any_bytes_but_controls() {
    let mut request = b"GET / HTTP/1.1\r\nHost: h\r\nX: \xFF\x80\r\nY: \xC3\xA9\r\n\r\n".to_vec();
    let received = ServerHandshake::new(Limits::default()).receive(&request).unwrap();
    let Some(ReceivedRequest::Http(received)) = received else { panic!() };
    assert_eq!(received.headers().get("X"), None);
    assert_eq!(received.headers().get_bytes("X"), Some(b"\xFF\x80".as_slice()));
    assert_eq!(received.headers().get("Y"), Some("\u{e9}"));
    assert!(format!("{received:?}").contains(r"\xff\x80"));

    let at = request.iter().position(|&byte| byte == 0xFF).unwrap();
    for byte in 0..=u8::MAX {
        request[at] = byte;
        let is_control = byte.is_ascii_control() && byte != b'\t';
        assert_eq!(
            ServerHandshake::new(Limits::default()).receive(&request).is_err(),
            is_control,
            "{byte:#x}"
        );
    }
}

/// `Debug` is for logs: what proves who somebody is does not get there.
#[test]
fn debug_shows_no_secrets() {
    const NAMES: [&str; 4] = ["Authorization", "proxy-authorization", "Cookie", "SET-COOKIE"];
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let mut lines = format!("Sec-WebSocket-Key: {KEY}\r\nX-Other: shown\r\n");
    let mut request = ClientRequest::new(&Uri::parse("ws://h/").unwrap()).header("X-Other", "shown").unwrap();
    for name in NAMES {
        lines = lines + name + ": a secret\r\n";
        // That is for a proxy.
        if name != "proxy-authorization" {
            request = request.header(name, "a secret").unwrap();
        }
    }
    let accept = Accept::new().header("Set-Cookie", "a secret").unwrap().header("X-Other", "shown").unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n{lines}\r\n"
    );
    let received = ServerHandshake::new(Limits::default()).receive(head.as_bytes()).unwrap();
    let Some(ReceivedRequest::WebSocket(received)) = received else { panic!() };
    let http: &HttpRequest = &received;
    for (text, hidden) in [
        (format!("{request:?}"), 3),
        (format!("{accept:?}"), 1),
        (format!("{received:?}"), 5),
        (format!("{http:#?}"), 5),
        (format!("{:?}", received.headers()), 5),
    ] {
        assert!(!text.contains("secret") && !text.contains(KEY), "{text}");
        assert_eq!(text.matches("***").count(), hidden, "{text}");
        assert!(text.contains("\"X-Other\": \"shown\""), "{text}");
    }
}

/// 6455-4.3-01: lists of tokens over all lines in order; whitespace and empty elements do not count; tokens have no
/// separators.
#[test]
fn lists_of_tokens() {
    for (lines, expected) in [
        ("", vec![]),
        ("X: a\r\n", vec!["a"]),
        ("X: a,b\r\nY: z\r\nx:c \r\n", vec!["a", "b", "c"]),
        ("X: ,, a ,\t,b\t , ,\r\nX:\r\nX: ,\r\nX: c\r\n", vec!["a", "b", "c"]),
        ("X: !#$%&'*+-.^_`|~09AZaz\r\n", vec!["!#$%&'*+-.^_`|~09AZaz"]),
    ] {
        assert_eq!(tokens(lines), Ok(expected.into_iter().map(str::to_owned).collect()), "{lines:?}");
    }
    for separator in "()<>@;:\\\"/[]?={}".chars() {
        assert_eq!(tokens(&format!("X: a, b{separator}c\r\n")), Err(InvalidList), "{separator:?}");
    }
    for lines in ["X: a b\r\n", "X: a\tb\r\n", "X: \u{e9}\r\n", "X: \"a\"\r\n"] {
        assert_eq!(tokens(lines), Err(InvalidList), "{lines:?}");
    }
}

/// 6455-9.1-03, 6455-4.2.1-10: one line or several are the same list; the examples of RFC 6455 section 9.1.
#[test]
fn extension_lists() {
    assert_eq!(extensions(&[]), Ok(vec![]));
    assert_eq!(extensions(&["foo", "bar; baz=2"]), extensions(&["foo, bar; baz=2"]));
    for (line, expected) in [
        ("deflate-stream", vec!["deflate-stream"]),
        (
            "mux; max-channels=4; flow-control, deflate-stream",
            vec!["mux; max-channels=4; flow-control", "deflate-stream"],
        ),
        ("private-extension", vec!["private-extension"]),
        ("a;b=c;d", vec!["a; b=c; d"]),
        (" a\t;\tb = c ; d\t,  e ", vec!["a; b=c; d", "e"]),
        (",, a ,, b ,", vec!["a", "b"]),
        ("a; a; a=1, a", vec!["a; a; a=1", "a"]),
        ("A; B=C", vec!["A; B=C"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(extensions(&[line]), Ok(expected), "{line:?}");
    }
}

/// 6455-4.3-02, 6455-9.1-02: a quoted value is a token once it is unquoted.
#[test]
fn quoted_values_are_tokens() {
    for (line, value) in [
        (r#"a; x="10""#, "10"),
        (r#"a; x = "10" ; y"#, "10"),
        (r#"a; x="\1\0""#, "10"),
        (r#"a; x="1\0", b"#, "10"),
        (r#"a; x="!#$%&'*+-.^_`|~""#, "!#$%&'*+-.^_`|~"),
    ] {
        let list = Extension::parse_list([line]).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(list[0].params().next(), Some(("x", Some(value))), "{line}");
    }
    for line in [
        r#"a; x="""#,
        r#"a; x="a b""#,
        r#"a; x=" a""#,
        r#"a; x="a,b""#,
        r#"a; x="a;b""#,
        r#"a; x="\"""#,
        r#"a; x="\\""#,
        r#"a; x="a"#,
        r#"a; x="a\"#,
        r#"a; x="a\""#,
        r#"a; x=""#,
        r#"a; x="a"b"#,
        r#"a; x="a""b""#,
        r#"a; x=b"c""#,
        r#"a; x="\ ""#,
        "a; x=\"\u{e9}\"",
        "a; x=\"a\tb\"",
    ] {
        assert_eq!(extensions(&[line]), Err(InvalidList), "{line}");
    }
    // A quoted string does not go on in the next line.
    assert_eq!(extensions(&[r#"a; x="b"#, r#"c""#]), Err(InvalidList));
}

/// 6455-9.1-01: what breaks the grammar is no list.
#[test]
fn malformed_extension_lists() {
    for line in [
        "",
        " ",
        ",",
        ", ,",
        ";",
        "=",
        "\"",
        "a;",
        "a; ",
        "a;;b",
        "a; ;b",
        "; a",
        "a, ;",
        "a; =",
        "a; b=",
        "a; b= ",
        "a; b=;",
        "a; =b",
        "a; b==c",
        "a; b=c=d",
        "a b",
        "a; b c",
        "a; b=c d",
        "a=b",
        "a/b",
        "a; b=c/d",
        "\"a\"",
        "a; \"b\"",
        "a; b='c d'",
        "(a)",
        "a\u{e9}",
        "a; b, c;",
        "a; b:c",
        "a\\",
        "a; b=\\c",
    ] {
        assert_eq!(extensions(&[line]), Err(InvalidList), "{line:?}");
        assert_eq!(
            extensions(&["ok", line, "ok"]).is_ok(),
            line.trim_matches([' ', ',']).is_empty(),
            "{line:?}"
        );
    }
}

/// 6455-9-04: extensions and parameters that are no tokens cannot be built.
#[test]
fn extensions_are_built_of_tokens() {
    let extension = Extension::new("foo").unwrap().param("a", None).unwrap().param("b", Some("1")).unwrap();
    assert_eq!(extension.name(), "foo");
    assert_eq!(extension.params().collect::<Vec<_>>(), [("a", None), ("b", Some("1"))]);
    assert_eq!(extension.to_string(), "foo; a; b=1");
    assert_eq!(Extension::parse_list([extension.to_string()]), Ok(vec![extension.clone()]));

    for text in ["", "a b", "a,b", "a;b", "a=b", "\"a\"", "a\r\nb", "\u{e9}"] {
        let error = BuildError::InvalidExtension(text.to_owned());
        assert_eq!(Extension::new(text), Err(error.clone()));
        assert_eq!(extension.clone().param(text, None), Err(error.clone()));
        assert_eq!(extension.clone().param("c", Some(text)), Err(error));
    }
}

/// Lists that others have taken quadratic or exponential time for: each of these would run for minutes.
#[test]
fn parsing_is_linear() {
    const LEN: usize = 1 << 20;
    for (unit, is_list) in
        [(" ", false), (",", false), ("a,", true), ("a ,", true), (" , ", false), ("a", true)]
    {
        let line = unit.repeat(LEN / unit.len());
        assert_eq!(Extension::parse_list([&line]).is_ok(), is_list, "{unit:?}");
    }
    // An unclosed quoted string full of backslashes: CVE-2020-7662.
    for unit in [r"\a", r"\\", r#"\""#, "a"] {
        let line = format!("a; x=\"{}", unit.repeat(LEN / unit.len()));
        assert_eq!(Extension::parse_list([&line]), Err(InvalidList), "{unit:?}");
    }
    let line = format!("a{}", ";a".repeat(LEN / 2));
    assert_eq!(Extension::parse_list([&line]).unwrap()[0].params().len(), LEN / 2);
}
