// SPDX-License-Identifier: Apache-2.0
// Marks functions that CPU kernels and CUDA kernels share.
#ifndef DOVETAIL_DETAIL_HOST_DEVICE_HPP
#define DOVETAIL_DETAIL_HOST_DEVICE_HPP

#ifdef __CUDACC__
#define DOVETAIL_HOST_DEVICE __host__ __device__
#else
#define DOVETAIL_HOST_DEVICE
#endif

// Written before a loop over axes, so that the compiler does not unroll it in CUDA kernels. Such loops run once or
// twice and are inlined at every access to an element; unrolled, they would be most of the code and of compile time.
#ifdef __CUDA_ARCH__
#define DOVETAIL_ROLLED _Pragma("unroll 1")
#else
#define DOVETAIL_ROLLED
#endif

#endif
