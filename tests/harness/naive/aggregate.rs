//! `sum`, `avg`, `min`, `max`, `any`, `all` over a column of rows. Nulls take no part.

use super::{
    evaluate::{Cell, Naive, Place},
    form::compare,
    name::Name,
    number::Number,
    rows::Rows,
    schema::ColumnKind,
    value::Function,
    write::Out,
};

/// Digits of an average beyond those of its column.
const MORE_DIGITS: usize = 6;

impl<'a> Naive<'a> {
    pub(super) fn aggregate(
        &self,
        function: Function,
        rows: &Rows,
        column: &Name,
        place: &Place<'a>,
    ) -> Result<Out, String> {
        let cells: Vec<Cell<'a>> = self
            .rows(rows, place)
            .into_iter()
            .map(|frame| self.cell(column, &place.at(frame)))
            .filter(|cell| cell.text.is_some())
            .collect();
        let extreme = |greatest: bool| {
            let by_value = |a: &&Cell<'a>, b: &&Cell<'a>| {
                compare(a.kind, a.text.unwrap_or_default(), b.text.unwrap_or_default())
            };
            let all = cells.iter();
            let found = if greatest {
                all.max_by(by_value)
            } else {
                all.min_by(by_value)
            };
            found.map_or(Ok(Out::Null), |cell| self.column(cell))
        };
        let truths = || {
            cells
                .iter()
                .map(|cell| matches!(cell.text, Some("true" | "t" | "1")))
        };
        match function {
            Function::Min => extreme(false),
            Function::Max => extreme(true),
            Function::Any => Ok(Out::Text(truths().any(|truth| truth).to_string())),
            Function::All => Ok(Out::Text(truths().all(|truth| truth).to_string())),
            Function::Sum if cells.is_empty() => Ok(Out::Text("0".to_owned())),
            Function::Avg if cells.is_empty() => Ok(Out::Null),
            Function::Sum | Function::Avg => numeric(function, &cells),
        }
    }
}

/// Added up exactly: sums then have the column's digits, averages some more without trailing zeros.
fn numeric(function: Function, cells: &[Cell<'_>]) -> Result<Out, String> {
    let parse = |text: &str| Number::parse(text).ok_or_else(|| format!("{text:?} has no JSON form"));
    let numbers: Result<Vec<Number>, String> = cells.iter().filter_map(|cell| cell.text).map(parse).collect();
    let numbers = numbers?;
    let written = numbers.iter().map(Number::scale).max().unwrap_or(0);
    let exact = numbers.iter().map(|number| number.units(written)).sum();
    let scale = match cells[0].kind {
        ColumnKind::Numeric(Some(scale)) => *scale,
        _ => written,
    };
    let sum = Number::of_units(exact, written).fixed(scale);
    if function == Function::Sum {
        return Ok(Out::Text(sum));
    }
    let units = parse(&sum)?.units(scale);
    let count = i128::try_from(cells.len()).expect("a number of rows");
    let more = units * 10_i128.pow(u32::try_from(MORE_DIGITS).expect("digits"));
    // Half away from zero.
    let rounded = (more.abs() * 2 + count) / (count * 2) * more.signum();
    let average = Number::of_units(rounded, scale + MORE_DIGITS);
    Ok(Out::Text(average.fixed(average.scale())))
}
