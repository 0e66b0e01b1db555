//! Stories of processes that die at a failpoint, one test each.

/// Tests that each tell one story with one failpoint: `name: story "failpoint";`.
#[macro_export]
macro_rules! dies_at {
    ($($name:ident: $how:ident $failpoint:literal;)*) => {$(
        #[tokio::test]
        async fn $name() -> anyhow::Result<()> {
            $how($failpoint).await
        }
    )*};
}
