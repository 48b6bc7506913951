//! The picture: for each job a bar per program, as long as its CPU-seconds are beside ours. SVG without scripts, fonts or anything from elsewhere.

use maud::{Markup, PreEscaped, html};

use super::{Job, Line, short, spread};
use crate::results::{Machine, Part};

const WIDTH: f64 = 900.0;
const EDGE: f64 = 24.0;
/// Where names end, bars begin and end, and figures begin.
const NAMES: f64 = 168.0;
const BARS: f64 = 180.0;
const BARS_END: f64 = 580.0;
const RATIOS: f64 = 604.0;
const TOP: f64 = 96.0;
const HEAD: f64 = 34.0;
const ROW: f64 = 26.0;
const BETWEEN: f64 = 24.0;
const BAR: f64 = 14.0;

/// Where it is shown as an image the page's own colours do not reach it, so it brings a ground along.
const STYLE: &str = "
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.job { font-size: 15px; font-weight: 600 }
.mine { font-weight: 600 }
.faint { font-size: 12px; fill: #59636e }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.one { stroke: #59636e; stroke-dasharray: 3 3 }
.range { stroke: #1f2328; stroke-width: 1.5 }
.ours { fill: #0969da }
.floor { fill: #aeb6bf }
.peer { fill: #d9843b }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .faint { fill: #9198a1 }
  .ground { fill: #0d1117; stroke: #3d444d }
  .one { stroke: #9198a1 }
  .range { stroke: #f0f6fc }
  .ours { fill: #4493f8 }
  .floor { fill: #656c76 }
  .peer { fill: #b8622a }
}
";

pub fn of(jobs: &[Job<'_>], machine: &Machine) -> String {
    let tops: Vec<f64> = jobs
        .iter()
        .scan(TOP, |top, job| {
            let here = *top;
            *top += height(job) + BETWEEN;
            Some(here)
        })
        .collect();
    let whole = TOP + jobs.iter().map(|job| height(job) + BETWEEN).sum::<f64>() + 20.0;
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title description" width=(WIDTH) height=(whole)
            viewBox={ "0 0 " (WIDTH) " " (whole) } {
            title id="title" { "CPU time beside Headwater's" }
            desc id="description" { @for job in jobs { (told(job)) } }
            style { (PreEscaped(STYLE)) }
            rect class="ground" x="0.5" y="0.5" width=(WIDTH - 1.0) height=(whole - 1.0) rx="8" {}
            text class="title" x=(EDGE) y="36" { "CPU time beside Headwater's" }
            text class="faint" x=(EDGE) y="58" { "The same job done by other programs: CPU-seconds, ours = 1, shorter is better." }
            text class="faint" x=(EDGE) y="75" { "Bars: median of the rounds. Lines: from the least to the most." }
            @for (place, (part, name)) in [(Part::Ours, "Headwater"), (Part::Floor, "floor: the least anybody pays"), (Part::Peer, "others")].iter().enumerate() {
                rect class=(class(*part)) x=(WIDTH - 224.0) y=(22.0 + 18.0 * place as f64) width="12" height="12" rx="2" {}
                text class="faint" x=(WIDTH - 206.0) y=(32.0 + 18.0 * place as f64) { (name) }
            }
            @for (job, top) in jobs.iter().zip(tops) { (bars(job, top)) }
            text class="faint" x=(EDGE) y=(whole - 20.0) { (machine) }
        }
    };
    picture.into_string() + "\n"
}

fn height(job: &Job<'_>) -> f64 {
    HEAD + ROW * job.lines.len() as f64
}

fn bars(job: &Job<'_>, top: f64) -> Markup {
    let most = job.lines.iter().map(|line| line.cpu_beside.most).fold(1.0, f64::max);
    let to = |ratio: f64| BARS + (BARS_END - BARS) * ratio / most;
    html! {
        g {
            text class="job" x=(EDGE) y=(top + 16.0) { (job.results.job) }
            text class="faint" x=(RATIOS) y=(top + 16.0) { "beside ours" }
            text class="faint" x=(WIDTH - EDGE) y=(top + 16.0) text-anchor="end" { "s per million " (job.results.of) }
            @for (place, line) in job.lines.iter().enumerate() {
                (bar(line, top + HEAD + ROW * place as f64, to))
            }
            line class="one" x1=(px(to(1.0))) x2=(px(to(1.0))) y1=(top + HEAD - 6.0) y2=(top + height(job)) {}
        }
    }
}

/// One program, in a row that begins at `top`.
fn bar(line: &Line<'_>, top: f64, to: impl Fn(f64) -> f64) -> Markup {
    let (middle, baseline, ratio) = (top + BAR / 2.0, top + BAR - 2.0, line.cpu_beside);
    let (least, most) = (px(to(ratio.least)), px(to(ratio.most)));
    let weight = line.ours.then_some("mine");
    html! {
        text class=[weight] x=(NAMES) y=(baseline) text-anchor="end" { (line.entry.name) }
        rect class=(class(line.entry.part)) x=(BARS) y=(top) width=(px(to(ratio.median) - BARS)) height=(BAR) rx="2" {}
        @if ratio.least < ratio.most {
            line class="range" x1=(least) x2=(most) y1=(middle) y2=(middle) {}
            @for end in [&least, &most] {
                line class="range" x1=(end) x2=(end) y1=(middle - 3.0) y2=(middle + 3.0) {}
            }
        }
        text class=[weight] x=(RATIOS) y=(baseline) { (line.ratio(ratio)) }
        text class=[weight] x=(WIDTH - EDGE) y=(baseline) text-anchor="end" { (short(line.cpu.median)) }
    }
}

/// For whoever cannot see it.
fn told(job: &Job<'_>) -> String {
    let lines: Vec<String> = job.lines.iter().map(|line| format!("{} {}", line.entry.name, spread(line.cpu_beside))).collect();
    format!("{}: {}. ", job.results.job, lines.join(", "))
}

fn class(part: Part) -> &'static str {
    match part {
        Part::Floor => "floor",
        Part::Ours => "ours",
        Part::Peer => "peer",
    }
}

fn px(length: f64) -> String {
    format!("{length:.1}")
}
