//! The journal of systemd, with fields, where it is what standard error goes to.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// The layer that writes to journald; `None` where standard error goes elsewhere, or journald does
/// not answer. `stream` is the value of `JOURNAL_STREAM`, which systemd sets for a unit whose
/// standard error is the journal (systemd.exec(5)).
pub fn layer<S>(stream: Option<&str>) -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    stream?;
    let layer = tracing_journald::layer().ok()?;
    Some(layer.with_field_prefix(Some("GUESTPREP".to_owned())).boxed())
}
