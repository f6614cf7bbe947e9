//! Tables by slot that a question fills and empties again, so that none is made anew for it.

use std::sync::Mutex;

/// Tables that are kept for the next questions, and so many questions at once need no new one.
const MOST_KEPT: usize = 4;

/// Tables of zeros as long as there are slots. Who takes one gives it back as it was.
#[derive(Debug, Default)]
pub(crate) struct Sheets<T>(Mutex<Vec<Vec<T>>>);

impl<T: Copy + Default> Sheets<T> {
    /// A table of zeros for at least `slots` slots.
    pub(crate) fn take(&self, slots: usize) -> Vec<T> {
        let mut sheet = self.0.lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default();
        sheet.resize(slots.max(sheet.len()), T::default());
        sheet
    }

    /// Gives a table back in which nothing but `touched` was written.
    pub(crate) fn give(&self, mut sheet: Vec<T>, touched: impl Iterator<Item = u32>) {
        for slot in touched {
            if let Some(place) = sheet.get_mut(slot as usize) {
                *place = T::default();
            }
        }
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < MOST_KEPT
        {
            kept.push(sheet);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.lock().map_or(0, |kept| kept.iter().map(|sheet| sheet.capacity() * size_of::<T>()).sum())
    }
}
