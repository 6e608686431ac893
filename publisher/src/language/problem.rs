//! What is wrong with a document, and where.

use std::fmt;

use super::SourceFile;
use super::yaml::Span;

/// One thing that a document says wrong.
///
/// `{}` gives one line: `documents/product.yaml:12:9: no column "nmae" in table "product"; did you mean "name"?`.
/// `{:#}` adds the line of the file with a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Stable name of the kind of problem, such as `unknown_column`.
    pub code: &'static str,
    /// The line of the file that it is about.
    pub source_line: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        if f.alternate() {
            return self.write_source(f);
        }
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// A problem that shows only beyond the language, at a place of a checked file; line and column from 1.
    #[must_use]
    pub fn at(file: &SourceFile, line: usize, column: usize, code: &'static str, message: String) -> Self {
        Report::new(&file.name, &file.text).problem(Span { line, column }, code, message, None)
    }

    fn write_source(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = " ".repeat(self.line.to_string().len());
        // Tabs stay tabs, so that the caret stands right whatever their width.
        let blank: String = self
            .source_line
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(
            f,
            "\n{margin} |\n{} | {}\n{margin} | {blank}^",
            self.line, self.source_line
        )?;
        match &self.help {
            Some(help) => write!(f, "\n{margin} = {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Collects the problems of one file.
pub struct Report<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            lines: text.lines().collect(),
            problems: Vec::new(),
        }
    }

    /// Notes a problem. Always `None`, so that a reader can end with it.
    pub fn fail<T>(&mut self, at: Span, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.fail_with(at, code, message, None)
    }

    /// Notes a problem with what to do about it.
    pub fn fail_with<T>(
        &mut self,
        at: Span,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Option<T> {
        let problem = self.problem(at, code, message.into(), help.into());
        self.problems.push(problem);
        None
    }

    fn problem(&self, at: Span, code: &'static str, message: String, help: Option<String>) -> Problem {
        let source_line = self.lines.get(at.line - 1).copied().unwrap_or_default();
        Problem {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            message,
            help,
            code,
            source_line: source_line.trim_end().to_owned(),
        }
    }

    /// How many are noted so far.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// In the order of the lines, each once: what an alias copies is looked at twice.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems
            .sort_by_key(|problem| (problem.line, problem.column));
        self.problems.dedup();
        self.problems
    }
}
