// SPDX-License-Identifier: Apache-2.0
// Functions that CPU kernels and CUDA kernels share are marked with this.
#ifndef DOVETAIL_SIMD_HOST_DEVICE_HPP
#define DOVETAIL_SIMD_HOST_DEVICE_HPP

#ifdef __CUDACC__
#define DOVETAIL_HOST_DEVICE __host__ __device__
#else
#define DOVETAIL_HOST_DEVICE
#endif

#endif
