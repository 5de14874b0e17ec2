//! Changes to a page as data: what is added, changed and taken away below an element of it.
//!
//! A page carries them out that has said below which element: `channels-dom.js`, which the hub serves, does it without `eval`, and
//! under a strict content security policy with Trusted Types. It carries out nothing that could run a script; its types,
//! `channels-dom.d.ts`, list what may be said. What may not is skipped, and counted by the page.
//!
//! ```js
//! import { Socket } from "/channels.js";
//! import { mount } from "/channels-dom.js";
//! const list = new Socket("/socket").channel("list");
//! mount(list, document.getElementById("list"));
//! await list.join();
//! ```
//!
//! ```
//! use sansocket_channels::dom::{Changes, Element, append, remove, update};
//! # use sansocket_channels::{Hub, Open};
//!
//! # let hub = Hub::builder().channel("list", Open).build()?;
//! let item = Element::new("li").id("i7").text("milk ").child(Element::new("b").text("2 l"));
//! hub.to("list").dom([append("list", item)])?;
//! hub.to("list").dom([update("i7", Changes::new().class("bought", true)), remove("i6")])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use crate::payload::{PayloadError, to_json};

/// An element that is to be made, with all that is in it: text first, then other elements.
///
/// A page makes elements of HTML that show something, and gives them attributes that run nothing. URLs are relative, or of `http`,
/// `https` or `mailto`.
///
/// ```
/// use sansocket_channels::dom::Element;
///
/// let user = "<Ada>"; // Text is never taken for HTML.
/// let card = Element::new("a")
///     .id("ada")
///     .attr("href", "/users/ada")
///     .attr("class", "card")
///     .style("order", "1")
///     .child(Element::new("img").attr("src", "/users/ada.png").attr("alt", ""))
///     .child(Element::new("b").text(user));
/// ```
#[derive(Clone, Debug)]
#[must_use = "an element is nowhere until it is appended"]
pub struct Element {
    tag: String,
    id: Option<String>,
    changes: Changes,
    children: Vec<Element>,
    /// How many elements are in one another below it. Too many are not kept, so that no call goes deeper.
    depth: usize,
}

impl Element {
    /// An empty one, of this tag.
    pub fn new(tag: &str) -> Self {
        Self { tag: tag.to_owned(), id: None, changes: Changes::new(), children: Vec::new(), depth: 0 }
    }

    /// By which it is found later. A page makes none whose id it has already: what is appended twice is there once.
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Its text, as it is.
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { changes: self.changes.text(text), ..self }
    }

    /// HTML, in place of its text, as [`Changes::html`].
    pub fn html(self, html: impl Into<String>) -> Self {
        Self { changes: self.changes.html(html), ..self }
    }

    /// An attribute. Of two for one name, the later one counts.
    pub fn attr(self, name: &str, value: &str) -> Self {
        Self { changes: self.changes.attr(name, value), ..self }
    }

    /// A property of its style, as [`Changes::style`].
    pub fn style(self, name: &str, value: &str) -> Self {
        Self { changes: self.changes.style(name, value), ..self }
    }

    /// Another element in it, behind those that there are. More than 32 in one another are not sent.
    pub fn child(mut self, child: Element) -> Self {
        self.depth = self.depth.max(child.depth.saturating_add(1));
        if self.depth < MAX_DEPTH {
            self.children.push(child);
        }
        self
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth >= MAX_DEPTH {
            return Err(S::Error::custom("there are too many elements in one another"));
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tag", &self.tag)?;
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        self.changes.entries(&mut map)?;
        if !self.children.is_empty() {
            map.serialize_entry("children", &self.children)?;
        }
        map.end()
    }
}

/// What is to become of an element that there is. What is not named stays as it is.
///
/// ```
/// use sansocket_channels::dom::{Changes, update};
///
/// let late = Changes::new().text("14:05").class("late", true).attr("title", "was 13:50").no_attr("hidden");
/// let op = update("departure-7", late);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "changes are made by `update`"]
pub struct Changes {
    text: Option<String>,
    html: Option<String>,
    /// `None` takes the attribute away. No name is there twice, in these three.
    attrs: Vec<(String, Option<String>)>,
    style: Vec<(String, String)>,
    class: Vec<(String, bool)>,
}

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Text, in place of all that is in it.
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// HTML, in place of all that is in it, as far as the browser's `setHTML` takes it for harmless, and of that what could be said
    /// with elements, too, but without ids. Where a browser has no `setHTML` there is the [text](Self::text), if it is given, too.
    pub fn html(self, html: impl Into<String>) -> Self {
        Self { html: Some(html.into()), ..self }
    }

    /// An attribute. Of several calls for one name, the last one counts.
    pub fn attr(mut self, name: &str, value: &str) -> Self {
        set(&mut self.attrs, name, Some(value.to_owned()));
        self
    }

    /// Takes an attribute away.
    pub fn no_attr(mut self, name: &str) -> Self {
        set(&mut self.attrs, name, None);
        self
    }

    /// A property of its own style: its name as in CSS, and a value that loads nothing, so without `url()`. An empty value takes it
    /// away. In this order, so that `border-top` may follow `border`.
    pub fn style(mut self, name: &str, value: &str) -> Self {
        set(&mut self.style, name, value.to_owned());
        self
    }

    /// Adds a class, or takes it away.
    pub fn class(mut self, name: &str, on: bool) -> Self {
        set(&mut self.class, name, on);
        self
    }

    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(text) = &self.text {
            map.serialize_entry("text", text)?;
        }
        if let Some(html) = &self.html {
            map.serialize_entry("html", html)?;
        }
        if !self.attrs.is_empty() {
            map.serialize_entry("attrs", &Object(&self.attrs))?;
        }
        if !self.style.is_empty() {
            map.serialize_entry("style", &Object(&self.style))?;
        }
        if !self.class.is_empty() {
            map.serialize_entry("class", &Object(&self.class))?;
        }
        Ok(())
    }
}

/// One change of a page, made by [`append`], [`update`] or [`remove`], and sent by [`Publish::dom`](crate::Publish::dom),
/// [`Conn::dom`](crate::Conn::dom) or [`Cx::dom`](crate::Cx::dom).
#[derive(Clone, Debug)]
#[must_use = "nothing is changed until it is sent"]
pub struct Op(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Append { to: String, element: Element },
    Update { id: String, changes: Changes },
    Remove { id: String },
}

/// Adds an element, as the last in the one with this id: the one below which the page takes changes, or one in it.
/// A page has no more than 32 in one another below that one, by however many ops.
pub fn append(parent: &str, element: Element) -> Op {
    Op(Kind::Append { to: parent.to_owned(), element })
}

/// Changes the element with this id.
pub fn update(id: &str, changes: Changes) -> Op {
    Op(Kind::Update { id: id.to_owned(), changes })
}

/// Takes the element with this id away, with all that is in it.
pub fn remove(id: &str) -> Op {
    Op(Kind::Remove { id: id.to_owned() })
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0 {
            Kind::Append { to, element } => {
                map.serialize_entry("op", "append")?;
                map.serialize_entry("to", to)?;
                map.serialize_entry("el", element)?;
            }
            Kind::Update { id, changes } => {
                map.serialize_entry("op", "update")?;
                map.serialize_entry("id", id)?;
                changes.entries(&mut map)?;
            }
            Kind::Remove { id } => {
                map.serialize_entry("op", "remove")?;
                map.serialize_entry("id", id)?;
            }
        }
        map.end()
    }
}

/// The payload of a message with these.
pub(crate) fn payload(ops: impl IntoIterator<Item = Op>) -> Result<String, PayloadError> {
    to_json(&Object(&[("ops", ops.into_iter().collect::<Vec<_>>())]))
}

/// An object in JSON, its names in this order.
struct Object<'a, K, V>(&'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Object<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Sets what has this name, behind what there is.
fn set<T>(entries: &mut Vec<(String, T)>, name: &str, value: T) {
    entries.retain(|(other, _)| other != name);
    entries.push((name.to_owned(), value));
}

/// The event.
pub(crate) const EVENT: &str = "$dom";

/// How many elements may be in one another; a page makes no more.
const MAX_DEPTH: usize = 32;
