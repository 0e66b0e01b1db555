//! Traces go out over OTLP when an endpoint is configured, and cost nothing when none is.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::warn;

/// The process's way to send spans. Dropping it flushes what is left.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// A tracer for this process's spans.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("tollgate")
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            warn!(%error, "The last spans could not be sent: {error}");
        }
    }
}

/// Starts sending spans if `OTEL_EXPORTER_OTLP_ENDPOINT` is set (gRPC); the other standard
/// variables of the OpenTelemetry SDK are honoured too.
pub fn start_traces(service_name: &'static str) -> Option<Traces> {
    let endpoint =
        std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty())?;
    match SpanExporter::builder().with_tonic().with_endpoint(endpoint).build() {
        Ok(exporter) => {
            let resource = Resource::builder().with_service_name(service_name).build();
            let provider =
                SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
            Some(Traces { provider })
        }
        Err(error) => {
            warn!(%error, "Traces are not sent: {error}");
            None
        }
    }
}
