//! Output of kubectl with what differs from run to run taken out.

use regex::Regex;

/// Minutes are written up to 179; beyond that they are thousandths of a CPU.
///
/// Names of ReplicaSets and Pods without their random parts, ages as `AGE`, times as `TIME`, columns one space apart, no trailing space.
pub(crate) fn plain(text: &str) -> String {
    let random = "[bcdfghjklmnpqrstvwxz2456789]";
    let rules = [
        (format!(r"-{random}{{9}}-{random}{{5}}\b"), "-HASH-ID"),
        (format!(r"-{random}{{9}}\b"), "-HASH"),
        (format!(r"\b{random}{{9}}\b"), "HASH"),
        (r"\w{3}, \d{2} \w{3} \d{4} [\d:]{8} \+0000".to_owned(), "TIME"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z".to_owned(), "TIME"),
        (r"\b(((\d+[ydhs]|(1[0-7])?\d{1,2}m)){1,2}|<invalid>)( \(x\d+ over [\ddhms]+\))?(\s|$)".to_owned(), "AGE$6"),
        (r"node-eu-west-1[abc]-\d".to_owned(), "NODE"),
        (r"10\.(244|0)\.\d+\.\d+".to_owned(), "IP"),
    ];
    text.lines()
        .map(|line| {
            let line = rules
                .iter()
                .fold(line.to_owned(), |line, (rule, with)| Regex::new(rule).expect("a rule").replace_all(&line, *with).into_owned());
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether lines follow each other somewhere in an output.
#[track_caller]
pub(crate) fn contains(output: &str, lines: &[&str]) {
    let output = plain(output);
    let wanted = lines.join("\n");
    assert!(output.contains(&wanted), "{wanted}\n--- is not in ---\n{output}");
}
