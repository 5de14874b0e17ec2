//! No lock file has a version of a crate that is known to be faulty, and no manifest admits one: whoever depends on this
//! crate and takes the least versions gets none either.
//!
//! `cargo audit` and `cargo deny` would tell the same, but fetch their database with each run, from where not every
//! machine that runs the checks can, and take minutes to be built. `advisories.txt` has what concerns us of it.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

/// The folders that have a lock file.
const WORKSPACES: [&str; 6] =
    ["", "fuzz", "benches/peers", "channels/benches/peers", "tests/loom", "tests/upgrades"];

/// Those that have a manifest.
const PACKAGES: [&str; 10] = [
    "",
    "examples",
    "autobahn/programs",
    "channels",
    "channels/tests/loom",
    "fuzz",
    "benches/peers",
    "channels/benches/peers",
    "tests/loom",
    "tests/upgrades",
];

#[test]
fn no_lock_file_has_a_known_fault() {
    let advisories = advisories(include_str!("advisories.txt"));
    let mut shown = Vec::new();
    for package in WORKSPACES {
        let versions = locked(&read(package, "Cargo.lock"));
        assert!(versions.len() > 10, "{package}");
        shown.extend(faults(package, &versions, &advisories, Range::contains));
    }
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[test]
fn no_manifest_admits_a_known_fault() {
    let advisories = advisories(include_str!("advisories.txt"));
    let mut shown = Vec::new();
    for package in PACKAGES {
        let versions = least(&read(package, "Cargo.toml"));
        assert!(versions.len() > 2, "{package}");
        shown.extend(faults(package, &versions, &advisories, Range::contains_from));
    }
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

/// They are found where they are, in each form that a lock file and a manifest have.
#[test]
fn faults_are_found() {
    let advisories = advisories(
        "# a comment\nA-1 | one | >=1.2.3; ^0.3.1; <0.2\nA-2 | two | >=0.5.1, <0.6; >1; =0.1.7; <=0.1.5\n",
    );
    for (name, affected, unaffected) in [
        (
            "one",
            &["1.2.2", "1.0.0", "0.3.0", "0.2.0", "0.4.0"][..],
            &["1.2.3", "2.0.0", "0.3.9", "0.1.9"][..],
        ),
        ("two", &["0.5.0", "0.6.0", "1.0.0", "0.1.6", "0.1.8"], &["0.5.1", "1.0.1", "0.1.7", "0.1.5"]),
    ] {
        for (versions, count) in [(affected, 1), (unaffected, 0)] {
            for found in versions {
                let lock = format!("[[package]]\nname = \"{name}\"\nversion = \"{found}\"\nsource = \"x\"\n");
                assert_eq!(
                    faults("", &locked(&lock), &advisories, Range::contains).len(),
                    count,
                    "{name} {found}"
                );
            }
        }
    }

    let manifest = "[package]\nname = \"x\"\nversion = \"1.0.0\"\n\n[dependencies]\none = \"1.2\"\n# three = \"1\"\n\
        [dev-dependencies]\ntwo = { default-features = false, version = \"=0.5\" } # why\nthree = { path = \"..\" }\n\
        [target.'cfg(any())'.dependencies]\none = \"1.2.3\"\none = \"0.1\"\ntwo = \"0.1.4\"\n[features]\none = \"1\"\n";
    assert_eq!(
        faults("x", &least(manifest), &advisories, Range::contains_from),
        ["x: one 1.2.0 has A-1", "x: two 0.5.0 has A-2", "x: two 0.1.4 has A-2"].map(str::to_owned)
    );
}

fn read(package: &str, file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join(file)).unwrap()
}

/// The advisories that are about one of these versions, by whether a range has it.
fn faults(
    package: &str,
    versions: &[(String, Version)],
    advisories: &[Advisory],
    has: impl Fn(&Range, Version) -> bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, version) in versions {
        for advisory in advisories.iter().filter(|advisory| advisory.name == *name) {
            if !advisory.unaffected.iter().any(|all| all.iter().all(|range| has(range, *version))) {
                let Version([major, minor, patch]) = version;
                faults.push(format!("{package}: {name} {major}.{minor}.{patch} has {}", advisory.id));
            }
        }
    }
    faults
}

/// Names and versions of the packages in a lock file.
fn locked(lock: &str) -> Vec<(String, Version)> {
    let value = |line: &str, key: &str| {
        Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let lines: Vec<_> = lock.lines().collect();
    lines
        .windows(2)
        .filter_map(|two| Some((value(two[0], "name")?, Version::new(&value(two[1], "version")?))))
        .collect()
}

/// The least versions that a manifest's dependencies admit, where it says any.
fn least(manifest: &str) -> Vec<(String, Version)> {
    let (mut versions, mut depends) = (Vec::new(), false);
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            depends = table.ends_with("dependencies]");
        } else if let Some((name, rest)) =
            line.split_once(" = ").filter(|_| depends && !line.starts_with('#'))
        {
            let requirement = match rest.split_once("version = ") {
                Some((_, requirement)) => requirement,
                None if rest.starts_with('"') => rest,
                None => continue,
            };
            let least = requirement.split('"').nth(1).unwrap().trim_start_matches(['=', '^', '~']);
            versions.push((name.to_owned(), Version::new(least)));
        }
    }
    versions
}

struct Advisory {
    id: String,
    name: String,
    /// Versions that are in all ranges of one of these.
    unaffected: Vec<Vec<Range>>,
}

fn advisories(text: &str) -> Vec<Advisory> {
    let advisory = |line: &str| {
        let [id, name, unaffected] = line.split(" | ").collect::<Vec<_>>().try_into().unwrap();
        let alternative = |all: &str| all.split(',').map(|range| Range::new(range.trim())).collect();
        let unaffected = unaffected.split(';').map(alternative).collect();
        Advisory { id: str::to_owned(id), name: str::to_owned(name), unaffected }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(advisory).collect()
}

/// A part of a requirement, as Cargo reads it.
struct Range {
    operator: String,
    version: Version,
}

impl Range {
    fn new(text: &str) -> Self {
        let (operator, version) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap());
        Self { operator: operator.to_owned(), version: Version::new(version) }
    }

    fn contains(&self, version: Version) -> bool {
        let order = version.cmp(&self.version);
        match &*self.operator {
            ">=" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            "" | "^" => order != Ordering::Less && version.line() == self.version.line(),
            other => panic!("{other}"),
        }
    }

    /// Whether it has this version, and all that a manifest admits which names it.
    fn contains_from(&self, version: Version) -> bool {
        let ends = self.operator.starts_with('<') && version.line() == self.version.line();
        self.contains(version) && !ends
    }
}

/// Major, minor and patch; what is left out is 0.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Version([u64; 3]);

impl Version {
    fn new(text: &str) -> Self {
        let release = text.split(['-', '+']).next().unwrap();
        let mut parts = release.split('.').map(|part| part.parse().unwrap());
        Self([(); 3].map(|()| parts.next().unwrap_or(0)))
    }

    /// What versions have in common that can stand for each other.
    fn line(self) -> [u64; 3] {
        match self.0 {
            [0, 0, patch] => [0, 0, patch],
            [0, minor, _] => [0, minor, 0],
            [major, ..] => [major, 0, 0],
        }
    }
}
