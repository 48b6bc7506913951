//! How far it is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::work::Tally;

const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// Tells until it is dropped. `total` and `before` are of the whole replay, earlier runs included. Everything goes to stderr: stdout is the result's.
pub async fn tell(name: &str, tally: &Tally, total: u64, before: u64) {
    if std::io::stderr().is_terminal() {
        let style = "{wide_bar} {percent:>3} %  {pos}/{len} records  {per_sec}  {eta} left";
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        // What earlier runs did is no speed of this one.
        bar.set_position(before);
        bar.reset_eta();
        let _clear = Clear(&bar);
        loop {
            tokio::time::sleep(REDRAW).await;
            bar.set_position(before + tally.read());
        }
    }
    let started = Instant::now();
    loop {
        tokio::time::sleep(LINE).await;
        let rate = tally.read() as f64 / started.elapsed().as_secs_f64();
        let done = before + tally.read();
        let left = if rate > 0.0 { total.saturating_sub(done) as f64 / rate } else { f64::INFINITY };
        eprintln!("{name}: {done} of {total} records, {rate:.0} a second, {left:.0} s left");
    }
}

struct Clear<'b>(&'b ProgressBar);

impl Drop for Clear<'_> {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
