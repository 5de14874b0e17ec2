"""Changes of a page that it must not make, and as what it skips each. Each is one thing, beside which there is nothing to be done."""


def made(**element):
    return {"op": "append", "to": "root", "el": element}


def changes(**change):
    return {"op": "update", "id": "target", **change}


# What a server of ours can send, and as what it is skipped.
FORBIDDEN = [
    *((made(tag=tag, text="window.ran = 1", attrs={"src": "/library.js"}), "tag") for tag in (
        "script", "SCRIPT", "iframe", "object", "embed", "base", "meta", "link", "style", "template", "svg", "math", "use", "animate", "set", "frame",
        "frameset", "noscript", "applet", "portal", "html", "body", "svg:script", "\u017fcript", "lin\u212a", "x-element", "a b", "",
    )),
    *((changes(attrs={name: "window.ran = 1"}), "attribute") for name in (
        "onclick", "ONCLICK", "onanimationstart", "on", "style", "Style", "srcdoc", "formaction", "form", "is", "ping", "srcset", "xlink:href", "background",
        "name", "id", "nonce", "http-equiv", "for", "list", "popovertarget", "commandfor", "x-init", "@click", "data-x onclick", "data-", "__proto__", "",
    )),
    *((changes(attrs={"href": url}), "url") for url in (
        "javascript:window.ran = 1", " javascript:1", "JavaScript:1", "java\nscript:1", "\tjava\r\nscript\t:1", "\u0001javascript:1", "\u0000 javascript:1",
        "vbscript:1", "data:text/html,<script>window.ran = 1</script>", "blob:http://127.0.0.1/1", "file:///etc/passwd", "ftp://x/", "about:blank", "x:y", "http://[",
    )),
    *((changes(attrs={name: "javascript:window.ran = 1"}), "url") for name in ("HREF", "src", "action", "poster", "cite")),
    *((changes(style={name: value}), "style") for name, value in (
        ("background", "url(/x)"), ("background", "red URL( '/x' )"), ("background-image", "u\\72l(/x)"), ("background-image", "image-set('/x' 1x)"),
        ("background-image", "-webkit-image-set('/x' 1x)"), ("--x", "url(/x)"), ("background-image", "cross-fade(src('/x'), red)"),
    )),
    (changes(**{"class": {"a b": True}}), "form"),
    *(({"op": "update", "id": id, "text": "window.ran = 1", "attrs": {"href": "/x", "to": "javascript:1", "srcdoc": "x"}}, "tag") for id in (
        "own-script", "own-frame", "own-template", "own-link", "own-set",
    )),
    *(({"op": "append", "to": id, "el": {"tag": "p"}}, "tag") for id in ("own-script", "own-template", "own-link")),
    ({"op": "remove", "id": "own-script"}, "tag"),
    *(({"op": "update", "id": id, "text": "x"}, "id") for id in ("outside", "none", "root", "login", "*", "target,p", "")),
    *(({"op": "append", "to": id, "el": {"tag": "p"}}, "id") for id in ("outside", "none", "")),
    *(({"op": "remove", "id": id}, "id") for id in ("outside", "none", "root")),
    *((made(tag="p", id=id), "id") for id in ("outside", "target", "root", "")),
]  # fmt: skip

# What it cannot.
IMPOSSIBLE = [
    *(({"ops": [op]}, why) for op, why in (
        ({"op": "eval", "code": "window.ran = 1"}, "op"), ({"op": "__proto__"}, "op"), ({"code": "window.ran = 1"}, "op"), (None, "form"), (7, "op"), ("x", "op"),
        (changes(innerHTML="<img src=x onerror='window.ran = 1'>"), "field"), (changes(eval="window.ran = 1"), "field"), (changes(outerHTML=""), "field"),
        ({"op": "append", "to": "root", "el": None}, "form"), (made(tag=["script"]), "tag"), (made(tag={"toString": "p"}), "tag"), ({"op": "append", "to": "root"}, "form"),
        (changes(text=7), "text"), (changes(text={}), "text"), (changes(html=7), "html"), (changes(attrs={"title": 7}), "attribute"),
        (changes(attrs={"href": ["javascript:1"]}), "attribute"), (changes(style={"color": None}), "style"), (changes(**{"class": {"x": "y"}}), "class"),
        ({"op": "update", "id": ["target"], "text": "x"}, "id"), ({"op": "update", "text": "x"}, "id"), (made(tag="p", id=7), "id"),
    )),
    ({"ops": "x"}, "form"), ({"ops": {"0": {"op": "remove", "id": "target"}}}, "form"), ({}, "form"), (None, "form"),
]  # fmt: skip
