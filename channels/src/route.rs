//! Which channel answers for a topic.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use crate::channel::{AnyChannel, Channel};
use crate::limits::Limits;
use crate::options::TopicOptions;
use crate::sync::{RwLock, read, write};

/// The topics that a channel answers for: segments, which part at `:`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    /// This text.
    Static(Box<str>),
    /// `{name}`: one segment, not empty.
    Param(Box<str>),
    /// `{name*}`: all that is left, not empty.
    Rest(Box<str>),
}

impl Pattern {
    /// Fails with a sentence that says what is wrong.
    pub(crate) fn parse(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() {
            return Err("it is empty");
        }
        let mut segments: Vec<Segment> = Vec::new();
        for text in pattern.split(':') {
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                return Err("something follows what stands for all that is left");
            }
            let segment = match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => match name.strip_suffix('*') {
                    Some(name) => Segment::Rest(name.into()),
                    None => Segment::Param(name.into()),
                },
                None => Segment::Static(text.into()),
            };
            let name = match &segment {
                Segment::Static(text) => text,
                Segment::Param(name) | Segment::Rest(name) if name.is_empty() => {
                    return Err("a parameter has no name");
                }
                Segment::Param(name) | Segment::Rest(name) => {
                    let is_known = |known: &Segment| matches!(known, Segment::Param(known) if known == name);
                    if segments.iter().any(is_known) {
                        return Err("two parameters have one name");
                    }
                    name
                }
            };
            if name.contains(['{', '}', '*']) {
                return Err("a parameter is a whole segment: `{name}`, or `{name*}` at the end");
            }
            segments.push(segment);
        }
        Ok(Self(segments))
    }

    /// Whether this is one of its topics.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        let mut rest = Some(topic);
        for segment in &self.0 {
            let Some((part, behind)) = segment.split(rest) else {
                return false;
            };
            let fits = match segment {
                Segment::Static(text) => **text == *part,
                Segment::Param(_) | Segment::Rest(_) => !part.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = behind;
        }
        rest.is_none()
    }

    /// What the parameter of this name is in a topic that matches.
    pub(crate) fn param<'t>(&self, topic: &'t str, name: &str) -> Option<&'t str> {
        let mut rest = Some(topic);
        for segment in &self.0 {
            let (part, behind) = segment.split(rest)?;
            if matches!(segment, Segment::Param(own) | Segment::Rest(own) if **own == *name) {
                return Some(part);
            }
            rest = behind;
        }
        None
    }

    /// Which of two is asked first where both match: static text before a parameter before the rest.
    fn precedence(&self, other: &Self) -> Ordering {
        let ranks = |pattern: &Self| pattern.0.iter().map(Segment::rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other))
    }

    /// Whether neither of two goes before the other for some topic.
    fn ties(&self, other: &Self) -> bool {
        let is_alike = |(one, other): (&Segment, &Segment)| match (one, other) {
            (Segment::Static(one), Segment::Static(other)) => one == other,
            _ => one.rank() == other.rank(),
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(is_alike)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            match segment {
                Segment::Static(text) => write!(f, "{colon}{text}")?,
                Segment::Param(name) => write!(f, "{colon}{{{name}}}")?,
                Segment::Rest(name) => write!(f, "{colon}{{{name}*}}")?,
            }
        }
        Ok(())
    }
}

impl Segment {
    /// What of the topic it is held against, and what is left for the next.
    fn split<'t>(&self, topic: Option<&'t str>) -> Option<(&'t str, Option<&'t str>)> {
        match (self, topic?.split_once(':')) {
            (Self::Static(_) | Self::Param(_), Some((part, behind))) => Some((part, Some(behind))),
            _ => Some((topic?, None)),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Static(_) => 0,
            Self::Param(_) => 1,
            Self::Rest(_) => 2,
        }
    }
}

/// A pattern, and the channel that answers for its topics.
pub(crate) struct Route {
    pub(crate) pattern: Pattern,
    pub(crate) options: TopicOptions,
    pub(crate) channel: Box<dyn AnyChannel>,
    /// It was removed: nobody becomes a member by it any more. Read with the topic locked.
    is_over: AtomicBool,
}

impl Route {
    /// Fails with a sentence that says what is wrong with the pattern.
    pub(crate) fn new(
        pattern: &str,
        options: TopicOptions,
        channel: impl Channel,
    ) -> Result<Self, &'static str> {
        let pattern = Pattern::parse(pattern)?;
        Ok(Self { pattern, options, channel: Box::new(channel), is_over: AtomicBool::new(false) })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Memory::Relaxed)
    }
}

/// All of a hub, in the order in which they are asked.
#[derive(Default)]
pub(crate) struct Routes(RwLock<Vec<Arc<Route>>>);

impl Routes {
    /// Fails with the pattern that this one ties with.
    pub(crate) fn add(&self, route: Route) -> Result<(), Pattern> {
        let mut routes = write(&self.0);
        if let Some(tied) = routes.iter().find(|other| other.pattern.ties(&route.pattern)) {
            return Err(tied.pattern.clone());
        }
        let at = routes.partition_point(|other| other.pattern.precedence(&route.pattern).is_le());
        routes.insert(at, route.into());
        Ok(())
    }

    /// Removes the route of this pattern, whatever its parameters are called, if there is one. Nobody becomes a member by it from now on.
    pub(crate) fn remove(&self, pattern: &Pattern) -> Option<Arc<Route>> {
        let mut routes = write(&self.0);
        let at = routes.iter().position(|route| route.pattern.ties(pattern))?;
        let route = routes.remove(at);
        route.is_over.store(true, Memory::Relaxed);
        Some(route)
    }

    /// What cannot be with these limits, if there is something.
    pub(crate) fn fault(&self, limits: &Limits) -> Option<&'static str> {
        read(&self.0).iter().find_map(|route| route.options.fault(limits))
    }

    /// The route of a topic.
    pub(crate) fn find(&self, topic: &str) -> Option<Arc<Route>> {
        read(&self.0).iter().find(|route| route.pattern.matches(topic)).cloned()
    }
}
