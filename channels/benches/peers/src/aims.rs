//! What figures are to be.

/// What a figure is to be at most.
pub struct Aim {
    what: String,
    most: f64,
    is: f64,
}

impl Aim {
    pub fn new(what: &str, most: f64, is: f64) -> Self {
        Self { what: what.into(), most, is }
    }
}

pub fn print(aims: &[Aim]) {
    println!("\n## Aims\n\n| aim | at most | is | |\n| --- | --: | --: | --- |");
    for Aim { what, most, is } in aims {
        let met = if is <= most { "met" } else { "**missed**" };
        println!("| {what} | {most} | {is:.2} | {met} |");
    }
}
