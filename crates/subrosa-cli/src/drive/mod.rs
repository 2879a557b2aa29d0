//! `subrosa drive`: one client for a program that starts it. Requests are lines of JSON on the standard input,
//! `{"id": 1, "op": "send", …}`; answers are lines on the standard output, `{"id": 1, "ok": …}` or
//! `{"id": 1, "error": "…"}`. Requests are begun in the order they come, may overlap, and are answered when they are
//! done.

mod driver;
mod gate;
mod identity;
mod request;

use futures::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::{failure::Failure, lines, output};
use driver::Driver;
use request::{Operation, Request};

/// Serves until the input ends or `exit` is asked for.
pub(crate) async fn run() -> Result<(), Failure> {
    let driver = Driver::new();
    let mut lines = lines::read();
    // One task polls them all, new ones in the order they came.
    let mut running = FuturesUnordered::new();
    loop {
        let answer = tokio::select! {
            biased;
            Some(answer) = running.next() => answer,
            line = lines.recv() => match line.as_deref().map(|line| parse(line)) {
                None => break,
                Some(Err(answer)) => answer,
                Some(Ok(Request { id, operation: Operation::Exit })) => {
                    drop(running);
                    driver.close().await;
                    return answer_with(id, Ok(Value::Null)).print();
                }
                Some(Ok(Request { id, operation })) => {
                    let driver = &driver;
                    running.push(async move { answer_with(id, driver.perform(operation).await) });
                    continue;
                }
            },
        };
        answer.print()?;
    }
    drop(running);
    driver.close().await;
    Ok(())
}

/// A line of the output.
struct Answer(Value);

impl Answer {
    fn print(&self) -> Result<(), Failure> {
        output::print(&format!("{}\n", self.0))
    }
}

fn answer_with(id: u64, result: Result<Value, driver::Refused>) -> Answer {
    Answer(match result {
        Ok(value) => json!({ "id": id, "ok": value }),
        Err(refused) => json!({ "id": id, "error": refused.to_string() }),
    })
}

/// Reads a request. Errors of the reader quote no values, so that no secret is in them.
fn parse(line: &str) -> Result<Request, Answer> {
    serde_json::from_str(line).map_err(|error| {
        let id = serde_json::from_str::<Value>(line).ok().and_then(|value| value.get("id").cloned());
        Answer(json!({ "id": id, "error": format!("not a request: {error}") }))
    })
}
