//! What the driver's bindings leave to a program that knows how it uses its cards.
//!
//! By default every use of memory on a card is recorded as an event, so that streams can wait for each other, and
//! memory that is given back goes to the system whenever a stream is waited for. This program has one stream a card
//! and waits for it after each token: there both only cost time, the second that of taking the same memory anew.

use std::ffi::c_void;

use cudarc::driver::result::{device, mem_pool};
use cudarc::driver::sys::{CUmemPool_attribute, CUmemoryPool};
use cudarc::driver::{CudaContext, DriverError};

/// Prepares a card whose work all goes to one stream, and stays prepared: no event is recorded for any use of memory,
/// and memory that is given back is kept for what is asked for next (see [`unused_pool_memory`]).
///
/// To be called before anything is allocated. The lints of this workspace refuse the calls that make another stream.
///
/// # Errors
///
/// The driver's, when it does not keep memory back.
pub fn keep_to_one_stream(context: &CudaContext) -> Result<(), DriverError> {
    // SAFETY: events only order what several streams do with the same memory. There is one stream, which does what it
    // is told in the order in which it is told.
    unsafe { context.disable_event_tracking() };
    let mut everything = u64::MAX;
    // SAFETY: the driver reads a number of 64 bits for this attribute.
    with_pool(context, |pool| unsafe {
        let threshold = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        mem_pool::set_attribute(pool, threshold, (&raw mut everything).cast::<c_void>())
    })
    .map(drop)
}

/// Bytes of a card that this process has given back and that are kept for what it asks for next. The driver counts
/// them as taken.
///
/// # Errors
///
/// The driver's.
pub fn unused_pool_memory(context: &CudaContext) -> Result<u64, DriverError> {
    let unused = with_pool(context, |pool| {
        let held = bytes(
            pool,
            CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
        )?;
        let used = bytes(pool, CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?;
        Ok(held.saturating_sub(used))
    });
    Ok(unused?.unwrap_or(0))
}

/// Asks something of the pool that a card's memory is taken from; cards without pools have none.
fn with_pool<T>(
    context: &CudaContext,
    ask: impl FnOnce(CUmemoryPool) -> Result<T, DriverError>,
) -> Result<Option<T>, DriverError> {
    if !context.has_async_alloc() {
        return Ok(None);
    }
    // SAFETY: the context knows its device from the driver.
    let pool = unsafe { device::get_mem_pool(context.cu_device()) }?;
    ask(pool).map(Some)
}

fn bytes(pool: CUmemoryPool, attribute: CUmemPool_attribute) -> Result<u64, DriverError> {
    let mut bytes = 0u64;
    // SAFETY: the pool is the driver's, which writes a number of 64 bits for the attributes that count bytes.
    unsafe { mem_pool::get_attribute(pool, attribute, (&raw mut bytes).cast::<c_void>()) }?;
    Ok(bytes)
}
