//! Links to a section of the documentation lead to one: rustdoc looks at the page, and not whether it has that section.

use std::collections::BTreeSet;

use crate::source::texts;

#[test]
fn sections_that_links_name_are_there() {
    for folder in ["src", "channels/src"] {
        let texts = texts(folder, &["rs", "md"]);
        let lines = || texts.iter().flat_map(|(path, text)| text.lines().map(move |line| (path, line)));
        let sections: BTreeSet<_> = lines().filter_map(|(_, line)| section(line)).collect();
        let mut found = 0;
        for (path, line) in lines() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if let Some((page, name)) = link.split_once('#')
                    && !page.contains("//")
                {
                    assert!(sections.contains(name), "{folder}/{path}: there is no section {name}");
                    found += 1;
                }
            }
        }
        assert!(found > 1, "{folder}: {found} links");
    }
}

/// What links call the section that a line is the title of.
fn section(line: &str) -> Option<String> {
    let text = ["//! ", "/// "].iter().find_map(|mark| line.trim_start().strip_prefix(mark)).unwrap_or(line);
    let title = text.trim_start_matches('#').strip_prefix(' ').filter(|_| text.starts_with('#'))?;
    let letters = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    Some(letters.collect::<String>().to_lowercase().replace(' ', "-"))
}
