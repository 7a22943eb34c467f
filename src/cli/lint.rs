//! `gonogo lint`: everything that is wrong with runbook files.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use crate::domain::signature::Standing;
use crate::domain::{Diagnostic, Severity};
use crate::runbook::Context;
use std::path::{Path, PathBuf};

/// Checks files; exit 7 when one has an error.
pub(super) async fn lint(global: &Global, files: &[PathBuf]) -> Outcome {
    let config = super::wire::config_if_any(global)?;
    let mut all = Vec::new();
    let mut texts = Vec::new();
    for file in files {
        let text = super::runbook::text(file)?;
        let diagnostics = crate::runbook::lint(&file.display().to_string(), &text, &Context::default());
        if !global.json {
            report(file, &text, &diagnostics);
        }
        all.extend(diagnostics);
        texts.push((file.clone(), text));
    }
    let signatures = super::signing::lines(config.as_ref(), &texts).await;
    if global.json {
        let standing = |(file, standing, _): &(PathBuf, Standing, _)| serde_json::json!({ "file": file, "standing": standing });
        let signatures: Vec<_> = signatures.iter().map(standing).collect();
        super::print(&serde_json::json!({ "schema": "gonogo.lint/v1", "diagnostics": all, "signatures": signatures }).to_string());
    } else {
        for (file, standing, advice) in &signatures {
            let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
            super::print(&format!("{}: {standing}{advice}", file.display()));
        }
    }
    let count = |severity| all.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors > 0 {
        return Err(Failed::new(Exit::InvalidFile, format!("{errors} errors, {warnings} warnings")));
    }
    if !global.json {
        super::say(&format!("{} files, {warnings} warnings", files.len()));
    }
    Ok(Exit::Done)
}

/// With the line of the file and a mark under the place.
fn report(file: &Path, text: &str, diagnostics: &[Diagnostic]) {
    let lines: Vec<&str> = text.lines().collect();
    for diagnostic in diagnostics {
        let level = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
        super::print(&format!("{level}[{}]: {}", diagnostic.rule, diagnostic.message));
        super::print(&format!("  --> {}:{}:{}", file.display(), diagnostic.line, diagnostic.column));
        if let Some(line) = lines.get(diagnostic.line.saturating_sub(1) as usize) {
            let line = crate::domain::text::clean(line);
            super::print(&format!("{:>5} | {line}", diagnostic.line));
            let blank = " ".repeat(diagnostic.column.saturating_sub(1) as usize);
            super::print(&format!("      | {blank}{}", "^".repeat(diagnostic.length.clamp(1, 60) as usize)));
        }
        if let Some(help) = &diagnostic.help {
            super::print(&format!("      = {help}"));
        }
        super::print("");
    }
}
