//! The documents tell the truth: commands that they show are run, links lead somewhere, messages are those of the program,
//! and the reference is what the code says. `DCM_DOCS=1 cargo test --test it docs::` writes what is generated.

mod pages;
mod reference;
mod session;
mod tables;
mod vocabulary;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use pages::{Page, root};

/// The languages of blocks that are neither run nor read by a test.
const SHOWN: [&str; 8] = ["text", "ini", "yaml", "dockerfile", "dotenv", "promql", "powershell", "svg"];

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut faults = Vec::new();
    for page in pages::all() {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let place =
                if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
            if !place.exists() {
                faults.push(format!("{}:{line}: no file {target}", page.name()));
            } else if !anchor.is_empty() && !Page::read(&place).anchors().contains(anchor) {
                faults.push(format!("{}:{line}: no heading {target}", page.name()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_index_names_every_page_once_and_the_book_has_the_same_order() {
    let index = Page::read(&root().join("docs/README.md"));
    let listed: Vec<_> = index.links().into_iter().map(|(_, target)| target).filter(|t| is_page(t)).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    let folder = root().join("docs");
    let there: BTreeSet<_> = pages::all()
        .iter()
        .filter_map(|page| page.path.strip_prefix(&folder).ok().map(|path| path.display().to_string()))
        .filter(|path| !matches!(path.as_str(), "README.md" | "SUMMARY.md"))
        .collect();
    assert_eq!(unique, there);
    assert_eq!(listed.len(), unique.len(), "a page is listed twice");
    let mut summary = "# Summary\n\n[What is where](README.md)\n\n".to_owned();
    for target in &listed {
        let title = Page::read(&folder.join(target)).title();
        let _ = writeln!(summary, "- [{title}]({target})");
    }
    reference::keep(&folder.join("SUMMARY.md"), &summary);
}

fn is_page(target: &str) -> bool {
    Path::new(target).extension().is_some_and(|extension| extension == "md") && !target.starts_with("..")
}

#[test]
fn every_block_is_run_read_or_says_why_not() {
    let mut faults = Vec::new();
    for page in pages::all() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.name(), block.line);
            let verdict = match block.language.as_str() {
                "console" | "sql" | "rust" | "python" | "toml" => Ok(()),
                "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                    .map(drop)
                    .map_err(|e| e.to_string()),
                "sh" if block.info.starts_with("file=") => Ok(()),
                "sh" => match block.info.strip_prefix("no-run") {
                    Some(reason) if reason.trim_start_matches(':').trim().len() > 3 => Ok(()),
                    Some(_) | None => Err("sh is not run: make it console, or say no-run and why".to_owned()),
                },
                language if SHOWN.contains(&language) => Ok(()),
                language => Err(format!("unknown language {language:?}")),
            };
            if let Err(why) = verdict {
                faults.push(format!("{place}: {why}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn messages_that_operators_look_up_are_those_of_the_program() {
    let page = Page::read(&root().join("docs/troubleshooting.md"));
    let messages: Vec<_> = page
        .headings()
        .into_iter()
        .filter_map(|heading| heading.strip_prefix('`').map(String::from))
        .collect();
    assert!(messages.len() >= 20, "{} messages", messages.len());
    let sources = pages::sources();
    for message in messages {
        // What varies stands as an ellipsis. The program may put a message together at its marks.
        let parts = message.trim_end_matches('`').split(['…', ':', ';', '(', ')']).map(str::trim);
        for part in parts.filter(|part| part.len() > 3) {
            assert!(sources.contains(part), "{message:?}: the program never says {part:?}");
        }
    }
}
