//! Pages of Markdown: their headings, links and blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// A page.
pub(super) struct Page {
    pub(super) path: PathBuf,
    text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// Where its text begins, from 1.
    pub(super) line: usize,
    /// The first word after the fence.
    pub(super) language: String,
    /// The others.
    pub(super) info: String,
    /// Its lines, each with its end.
    pub(super) text: String,
}

/// The checkout.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages that are for users, in the order of their names.
pub(super) fn all() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    for folder in ["docs", "docs/reference"] {
        paths.extend(fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// All that the program and its package can say.
pub(super) fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src"), root().join("python/src"), root().join("migrations")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(source) = fs::read_to_string(&path) {
                // A text that goes on in the next line of the source is one text.
                text.push_str(&Regex::new(r"\\\n\s*").unwrap().replace_all(&source, ""));
            }
        }
    }
    text
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// The path from the checkout on.
    pub(super) fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    /// The first heading.
    pub(super) fn title(&self) -> String {
        self.headings().into_iter().next().unwrap_or_else(|| panic!("{} has no title", self.name()))
    }

    /// What stands in a comment `<!-- test: ... -->`.
    pub(super) fn directive(&self) -> &str {
        self.text
            .split_once("<!-- test: ")
            .and_then(|(_, rest)| rest.split_once(" -->"))
            .map_or("", |(words, _)| words)
    }

    /// Its lines outside of blocks, with their numbers.
    fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_block = false;
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
                return None;
            }
            (!is_block).then_some((index + 1, line))
        })
    }

    pub(super) fn headings(&self) -> Vec<String> {
        let lines = self.prose().map(|(_, line)| line).filter(|line| line.starts_with('#'));
        lines.map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
    }

    /// The names by which headings are linked to, as forges make them.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let mut seen = BTreeMap::<String, usize>::new();
        let mut anchors = BTreeSet::new();
        for heading in self.headings() {
            let kept = heading.to_lowercase();
            let name: String = kept
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let count = seen.entry(name.clone()).or_default();
            anchors.insert(if *count == 0 { name.clone() } else { format!("{name}-{count}") });
            *count += 1;
        }
        anchors
    }

    /// The targets of links and pictures, with their lines.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (line, text) in self.prose() {
            // Code is no link.
            let outside: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" code ");
            for part in outside.split("](").skip(1) {
                if let Some((target, _)) = part.split_once(')') {
                    links.push((line, target.to_owned()));
                }
            }
        }
        links
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (open.take(), fence) {
                (None, None) => {}
                (None, Some(words)) => {
                    let (language, info) = words.split_once(' ').unwrap_or((words, ""));
                    open = Some(Block {
                        line: index + 2,
                        language: language.to_owned(),
                        info: info.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (Some(block), Some(_)) => blocks.push(block),
                (Some(mut block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name());
        blocks
    }
}
