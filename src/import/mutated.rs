//! No text makes an importer panic: samples with parts taken out, doubled, swapped and replaced, all from one seed.

use std::fmt::Write as _;

use super::testing::MadeUp;
use super::{FAULTS_MAX, Tool, names};

const SAMPLES: [(&str, &str); 6] = [
    ("/etc/supervisord.conf", include_str!("../../examples/moving-in/supervisord.conf")),
    ("/var/spool/cron/crontabs/ana", include_str!("../../examples/moving-in/crontab")),
    ("/etc/cron.d/site", "SHELL=/bin/bash\n17 * * * * root run-parts /etc/cron.hourly\n@daily ana x%y\\%\n"),
    ("/u/companies.timer", include_str!("../../examples/moving-in/companies.timer")),
    ("/u/companies.service", include_str!("../../examples/moving-in/companies.service")),
    ("/srv/ecosystem.json", include_str!("../../examples/moving-in/ecosystem.json")),
];

/// Signs that mean something to one of the tools.
const SIGNS: &str = "%$\\'\"`{}[]()=:;#,*/-~@!|.<>\n\t\r 019aé\u{feff}\u{0}";

/// How many texts are made of each sample.
const TEXTS: u64 = 600;

/// Numbers that are the same at every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn mutated(sample: &str, numbers: &mut Numbers) -> String {
    let mut signs: Vec<char> = sample.chars().collect();
    let new: Vec<char> = SIGNS.chars().collect();
    for _ in 0..=numbers.below(6) {
        let (at, other) = (numbers.below(signs.len()), numbers.below(signs.len()));
        let (first, last) = (at.min(other), at.max(other).min(at.min(other) + 40));
        match numbers.below(6) {
            0 => drop(signs.drain(first..last)),
            1 => signs.insert(at, new[numbers.below(new.len())]),
            2 if !signs.is_empty() => signs[at] = new[numbers.below(new.len())],
            3 if !signs.is_empty() => signs.swap(at, other),
            4 => {
                let part = signs[first..last].to_vec();
                signs.splice(at..at, part);
            }
            _ => signs.truncate(last.max(1)),
        }
    }
    signs.into_iter().collect()
}

#[test]
fn no_text_makes_an_importer_panic() {
    let mut numbers = Numbers(13);
    let (mut read, mut refused) = (0, 0);
    for (path, sample) in SAMPLES {
        for _ in 0..TEXTS {
            let mut host = MadeUp::with(&SAMPLES);
            host.files.insert(path.to_owned(), mutated(sample, &mut numbers));
            let tool = match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
                "conf" => Tool::Supervisor,
                "json" => Tool::Pm2,
                _ if path.contains("cron") => Tool::Cron { is_system: path.starts_with("/etc") },
                _ => Tool::Systemd,
            };
            match host.import(tool, path) {
                Ok(imported) => {
                    let count = imported.drafts.len();
                    let settled = names::settle(imported.drafts, "group", std::iter::empty()).unwrap();
                    assert_eq!(settled.len(), count);
                    read += 1;
                }
                Err(faults) => {
                    assert!(!faults.is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 500 && refused > 500, "{read} were read, {refused} refused");
}

#[test]
fn a_file_that_makes_too_much_is_refused() {
    let (mut programs, mut sections) = (String::new(), String::new());
    for number in 0..11 {
        let _ =
            writeln!(programs, "[program:p{number}]\ncommand=x\nnumprocs=1000\nprocess_name=%(process_num)d");
    }
    for number in 0..10_001 {
        let _ = writeln!(sections, "[s{number}]");
    }
    let jobs = "@daily x\n".repeat(10_001);
    let apps = format!("[{}]", "{script: 'x', instances: 1000},".repeat(11));
    let lines = "nothing\n".repeat(2000);
    for (tool, text, what, count) in [
        (Tool::Supervisor, programs, "more than 10000 apps in one file", 1),
        (Tool::Supervisor, sections, "more than 10000 sections", 1),
        (Tool::Cron { is_system: false }, jobs, "more than 10000 apps in one file", 1),
        (Tool::Pm2, apps, "more than 10000 apps in one file", 1),
        (Tool::Supervisor, lines, "a section such as", FAULTS_MAX),
    ] {
        let faults = MadeUp::with(&[("/x", &text)]).import(tool, "/x").unwrap_err();
        assert!(faults[0].what.contains(what), "{what}: {:?}", faults[0]);
        assert_eq!(faults.len(), count, "{what}");
    }
}
