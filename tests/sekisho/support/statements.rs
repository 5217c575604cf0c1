//! What became of each statement of a source document.

/// How a statement stands today.
#[derive(Debug, Clone, Copy)]
pub enum Status {
    /// The test function that shows it from outside.
    Shown(&'static str),
    /// The requirements that it waits for.
    Waiting(&'static str),
    /// Why there is nothing to enforce.
    Context(&'static str),
}

/// One profile's suite.
pub struct Suite {
    /// The profile's name.
    pub profile: &'static str,
    /// `S0` to `S4`, and how many statements its table in the requirements has.
    pub document: (&'static str, usize),
    /// Each statement once.
    pub statements: &'static [(&'static str, Status)],
    /// How many wait: this number only falls.
    pub waiting: usize,
    /// The suite's own text.
    pub source: &'static str,
}

impl Suite {
    /// Everything that is wrong with its table.
    pub fn mistakes(&self) -> Vec<String> {
        let (document, count) = self.document;
        let numbers: Vec<String> = (1..=count).map(|number| format!("{document}-{number:02}")).collect();
        let told: Vec<&str> = self.statements.iter().map(|(number, _)| *number).collect();
        let mut mistakes = Vec::new();
        for number in numbers.iter().filter(|number| told.iter().filter(|told| *told == number).count() != 1) {
            mistakes.push(format!("{number} does not stand there exactly once"));
        }
        for number in told.iter().filter(|told| !numbers.iter().any(|number| number == *told)) {
            mistakes.push(format!("{number} is no statement of the document"));
        }
        let mut waiting = 0;
        for (number, status) in self.statements {
            match status {
                Status::Shown(test) => mistakes.extend(self.not_shown(number, test)),
                Status::Waiting(what) => {
                    waiting += 1;
                    if !names_a_requirement(what) {
                        mistakes.push(format!("{number} waits for no requirement: {what:?}"));
                    }
                }
                Status::Context("") => mistakes.push(format!("{number} has no reason")),
                Status::Context(_) => {}
            }
        }
        if waiting != self.waiting {
            mistakes.push(format!("{waiting} wait, and {} were recorded: it may only become fewer", self.waiting));
        }
        mistakes
    }

    /// Why that test does not show that statement: it is none, or its documentation does not say so.
    fn not_shown(&self, number: &str, test: &str) -> Option<String> {
        let Some((before, _)) = self.source.split_once(&format!("fn {test}()")) else {
            return Some(format!("{number}: there is no test {test}"));
        };
        let head = before.rsplit("\n}\n").next().unwrap_or_default();
        if !head.contains("test]") {
            return Some(format!("{number}: {test} is no test"));
        }
        let says_so = head.lines().any(|line| line.starts_with("///") && line.contains(number));
        (!says_so).then(|| format!("{number}: {test} does not say that it shows it"))
    }
}

/// Whether a word such as `MOD-01` stands there.
fn names_a_requirement(text: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').any(|word| {
        word.split_once('-').is_some_and(|(area, number)| {
            area.len() == 3
                && area.bytes().all(|byte| byte.is_ascii_uppercase())
                && number.len() == 2
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}
