//! Bars of a copy, on a terminal only.

use std::collections::HashMap;
use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The longest name that is shown, in characters.
const NAME: usize = 28;

/// A bar for each file under way, and one for all.
pub(crate) struct Bars {
    drawn: Option<Drawn>,
}

/// Bars of many hosts: one for each, and one for all.
pub(crate) struct HostBars(Option<(MultiProgress, ProgressBar)>);

impl HostBars {
    pub(crate) fn new(wanted: bool, hosts: usize) -> Self {
        Self((wanted && std::io::stderr().is_terminal()).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let total = all.add(bar(Some(0), &format!("{hosts} hosts")));
            (all, total)
        }))
    }

    /// The bar of a host that begins.
    pub(crate) fn host(&self, name: &str) -> Bars {
        let drawn = self.0.as_ref().map(|(all, total)| Drawn {
            all: all.clone(),
            total: total.clone(),
            files: HashMap::new(),
            several: true,
            host: Some(all.insert_before(total, bar(Some(0), &short(name)))),
        });
        Bars { drawn }
    }

    pub(crate) fn clear(&self) {
        if let Some((all, _)) = &self.0 {
            // A terminal that has gone needs no clearing.
            let _ = all.clear();
        }
    }
}

struct Drawn {
    /// The host's own bar, where there are many.
    host: Option<ProgressBar>,
    all: MultiProgress,
    total: ProgressBar,
    files: HashMap<u32, ProgressBar>,
    several: bool,
}

impl Bars {
    pub(crate) fn new(wanted: bool) -> Self {
        let drawn = (wanted && std::io::stderr().is_terminal()).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let total = ProgressBar::hidden();
            Drawn {
                host: None,
                all,
                total,
                files: HashMap::new(),
                several: false,
            }
        });
        Self { drawn }
    }

    pub(crate) fn planned(&mut self, files: u64, bytes: u64) {
        let Some(drawn) = &mut self.drawn else { return };
        if let Some(host) = &drawn.host {
            host.inc_length(bytes);
            drawn.total.inc_length(bytes);
            return;
        }
        drawn.several = files > 1;
        if drawn.several {
            drawn.total = drawn.all.add(bar(Some(bytes), &format!("{files} files")));
        }
    }

    pub(crate) fn started(&mut self, index: u32, name: &str, size: Option<u64>, offset: u64) {
        let Some(drawn) = &mut self.drawn else { return };
        if let Some(host) = &drawn.host {
            host.inc(offset);
        }
        // Small files among many would only flicker.
        let worth_it = drawn.host.is_none() && (!drawn.several || size.is_none_or(|size| size > 1_000_000));
        if worth_it {
            let bar = bar(size, &short(name));
            let bar = if drawn.several {
                drawn.all.insert_before(&drawn.total, bar)
            } else {
                drawn.all.add(bar)
            };
            bar.set_position(offset);
            bar.reset_eta();
            drawn.files.insert(index, bar);
        }
        drawn.total.inc(offset);
    }

    pub(crate) fn advanced(&mut self, index: u32, bytes: u64) {
        let Some(drawn) = &mut self.drawn else { return };
        drawn.total.inc(bytes);
        if let Some(host) = &drawn.host {
            host.inc(bytes);
        }
        if let Some(bar) = drawn.files.get(&index) {
            bar.inc(bytes);
        }
    }

    pub(crate) fn finished(&mut self, index: u32) {
        let Some(drawn) = &mut self.drawn else { return };
        if let Some(bar) = drawn.files.remove(&index) {
            bar.finish_and_clear();
            drawn.all.remove(&bar);
        }
    }

    /// Prints something above the bars.
    pub(crate) fn above(&self, print: impl FnOnce()) {
        match &self.drawn {
            Some(drawn) => drawn.all.suspend(print),
            None => print(),
        }
    }

    pub(crate) fn clear(&mut self) {
        if let Some(drawn) = self.drawn.take() {
            if let Some(host) = drawn.host {
                drawn.all.remove(&host);
                return;
            }
            // A terminal that has gone needs no clearing.
            let _ = drawn.all.clear();
        }
    }
}

fn bar(size: Option<u64>, name: &str) -> ProgressBar {
    let template = match size {
        Some(_) => "{prefix:28} {bar:20} {decimal_bytes:>10}/{decimal_total_bytes:10} {decimal_bytes_per_sec:>12} {eta:>4}",
        None => "{prefix:28} {spinner} {decimal_bytes:>10} {decimal_bytes_per_sec:>12}",
    };
    let bar = match size {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::no_length(),
    };
    // The templates are constants: both can be read.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(name.to_owned());
    bar
}

/// The last name of a path, cut in its middle.
fn short(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let characters: Vec<char> = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if characters.len() <= NAME {
        return characters.into_iter().collect();
    }
    let (half, rest) = (NAME / 2, NAME - NAME / 2 - 1);
    let end = &characters[characters.len() - rest..];
    characters[..half].iter().chain(&['…']).chain(end).collect()
}

/// Bytes for people, in powers of 1,000.
pub(crate) fn human(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_000.0;
    for unit in ["kB", "MB", "GB"] {
        if value < 999.95 {
            return format!("{value:.1} {unit}");
        }
        value /= 1_000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_sizes_and_names() {
        assert_eq!(
            [
                human(0),
                human(999),
                human(1_000),
                human(999_960),
                human(1_500_000_000),
                human(u64::MAX)
            ],
            ["0 B", "999 B", "1.0 kB", "1.0 MB", "1.5 GB", "18446744.1 TB"]
        );
        assert_eq!(short(r"C:\a\b.txt"), "b.txt");
        let long = short(&format!("/x/{}.tar.gz", "abc".repeat(20)));
        assert!(long.chars().count() == NAME && long.ends_with(".tar.gz") && long.starts_with("abc"));
    }
}
