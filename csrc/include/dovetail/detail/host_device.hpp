// SPDX-License-Identifier: Apache-2.0
// Functions that CPU kernels and CUDA kernels share are marked with this.
#ifndef DOVETAIL_DETAIL_HOST_DEVICE_HPP
#define DOVETAIL_DETAIL_HOST_DEVICE_HPP

#ifdef __CUDACC__
#define DOVETAIL_HOST_DEVICE __host__ __device__
#else
#define DOVETAIL_HOST_DEVICE
#endif

// Before a loop over axes: in kernels it stays a loop. It has one round or two, stands wherever an element is accessed,
// and unrolled it would be most of the code and of the time to compile it.
#ifdef __CUDA_ARCH__
#define DOVETAIL_ROLLED _Pragma("unroll 1")
#else
#define DOVETAIL_ROLLED
#endif

#endif
