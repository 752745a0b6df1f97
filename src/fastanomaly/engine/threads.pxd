"""Threads of the operating system (POSIX), without Python."""

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)
    int pthread_mutex_init(pthread_mutex_t*, void*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)
    int pthread_mutex_destroy(pthread_mutex_t*)
    int pthread_cond_init(pthread_cond_t*, void*)
    int pthread_cond_signal(pthread_cond_t*)
    int pthread_cond_broadcast(pthread_cond_t*)
    int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*)
    int pthread_cond_destroy(pthread_cond_t*)

cdef extern from "signal.h" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t*)
    enum:
        SIG_SETMASK
    int pthread_sigmask(int, const sigset_t*, sigset_t*)

cdef extern from "unistd.h" nogil:
    ctypedef int pid_t
    pid_t getpid()


cdef inline bint thread_start(
    pthread_t* thread, void* (*run)(void*) noexcept nogil, void* argument
) noexcept nogil:
    """Start a thread that gets no signals: those are for the threads of Python."""
    cdef sigset_t all_signals, before
    cdef bint started
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    started = pthread_create(thread, NULL, run, argument) == 0
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return started
