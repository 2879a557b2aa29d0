//! Where random bytes come from: a generator handed in.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

/// A source of random bytes, shared by everything that is cloned from it. Production uses [`Self::os`]; a
/// simulation hands in a seed and gets the same bytes every time.
#[derive(Clone)]
pub struct Randomness(Source);

#[derive(Clone)]
enum Source {
    Os,
    Generator(Arc<Mutex<Box<dyn CryptoRng + Send>>>),
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
#[non_exhaustive]
pub struct RandomError;

impl Randomness {
    /// The operating system's generator.
    #[must_use]
    pub const fn os() -> Self {
        Self(Source::Os)
    }

    /// A generator that gives the same bytes for the same seed. For tests and simulations only.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self::generator(ChaCha20Rng::from_seed(seed))
    }

    /// Any cryptographic generator.
    #[must_use]
    pub fn generator(generator: impl CryptoRng + Send + 'static) -> Self {
        Self(Source::Generator(Arc::new(Mutex::new(Box::new(generator)))))
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system's generator fails.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        match &self.0 {
            Source::Os => getrandom::fill(bytes).map_err(|_| RandomError),
            Source::Generator(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
                Ok(())
            }
        }
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system's generator fails.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl OpenMlsRand for Randomness {
    type Error = RandomError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        self.array()
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, RandomError> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (a, b) = (Randomness::seeded([7; 32]), Randomness::seeded([7; 32]));
        let first: [u8; 16] = a.array().unwrap();
        assert_eq!(b.array(), Ok(first));
        assert_ne!(b.array(), Ok(first));
        assert_ne!(Randomness::os().array::<16>(), Ok([0; 16]));
    }
}
